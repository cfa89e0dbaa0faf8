"""What became of suggestions in editors, on either database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.shares.rates import Rate
from app.shares.signals import EVENTS, Event, Signals, Source, Use, acceptance_rates, known_editor
from app.shares.store import ShareStore


def source(revision: str = "main", repo_id: str = "a/b", sha: str = "1", editor: str = "zed") -> Source:
    return Source(repo_id, revision, sha, "python", editor)


def add(signals: Signals, source: Source, **counts: int) -> None:
    for event in EVENTS:
        for _ in range(counts.get(event, 0)):
            signals.add(event, source)


def test_counts_and_rates(store: ShareStore) -> None:
    signals = store.signals
    assert signals.use() == [] and signals.acceptance("a/b") == {}
    add(signals, source(), shown=4, accepted=1, partly_accepted=1, dismissed=2)
    add(signals, source(sha="2"), shown=1)  # a later commit of the branch
    add(signals, source("fim", editor="vim"), accepted=2, dismissed=1)  # an editor that does not say what it shows
    add(signals, source(repo_id="c/d"), shown=1)
    assert Use("a/b", "main", "python", "zed", "shown", 5) in signals.use()
    assert signals.acceptance("a/b") == {"main": Rate(2, 5), "fim": Rate(2, 3)}
    low, high = signals.acceptance("a/b")["main"].interval
    assert 0 < low < 2 / 5 < high < 1


def test_editors_are_counted_apart(store: ShareStore) -> None:
    add(store.signals, source(), shown=3)
    add(store.signals, source(editor="vim"), accepted=2)
    assert store.signals.acceptance("a/b") == {"main": Rate(2, 5)}


def test_no_event_is_lost_when_many_arrive_at_once(store: ShareStore) -> None:
    events: list[Event] = ["shown", "accepted"] * 20
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda event: store.signals.add(event, source()), events))
    assert [use.count for use in store.signals.use()] == [20, 20]


def test_accepted_is_never_more_than_shown() -> None:
    uses = [Use("a/b", "main", "python", "zed", "accepted", 7), Use("a/b", "main", "python", "zed", "shown", 2)]
    assert acceptance_rates(uses) == {"main": Rate(7, 7)}


@pytest.mark.parametrize(
    "name,editor",
    [
        ("Visual Studio Code", "vscode"),
        ("Node.js/v20 tabby-agent/1.8.0 IntelliJ-IDEA/2024.2 com.tabbyml.intellij-tabby/1.8", "jetbrains"),
        ("Neovim", "neovim"),
        ("VIM", "vim"),
        ("emacs", "emacs"),
        ("Zed/0.200.0", "zed"),
        ("curl/8.5.0", "other"),
        ("", "other"),
    ],
)
def test_editors_by_the_names_they_send(name: str, editor: str) -> None:
    assert known_editor(name) == editor
