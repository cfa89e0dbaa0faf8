"""The shares that come with the repository."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from app.shares.curated.shipped import SHARES_FILE, shipped_shares
from app.shares.models import Query
from app.shares.store import ShareStore
from santacoder.checkpoints import DEFAULT_STORE

AGAIN = "run python -m app.shares.curated"


def test_they_are_of_the_models_that_come_with_the_repository_and_what_was_asked_for() -> None:
    choices = yaml.safe_load(SHARES_FILE.with_name("choices.yaml").read_text())
    shipped = shipped_shares(DEFAULT_STORE)
    assert [title for title, _ in shipped] == [choice["title"] for choice in choices], AGAIN
    for choice, (_, generation) in zip(choices, shipped, strict=True):
        assert "<FILL_HERE>".join(generation.parts) == choice["code"], AGAIN
        assert re.fullmatch(choice["keep"], generation.candidates[0].completions[0].text), AGAIN
        assert generation.sampling.seed is not None and generation.candidates[0].written


def test_they_are_stored_once_and_hidden_for_good(store: ShareStore, tmp_path: Path) -> None:
    shipped = shipped_shares(DEFAULT_STORE)
    store.add_shipped(shipped)
    titles = [share.title for share in store.find(Query()).shares]
    assert titles == [title for title, _ in shipped] and len(titles) == 6
    first = store.find(Query()).shares[0]
    assert store.open(first.slug).generation == shipped[0][1]
    store.moderate(first.slug, hidden=True)
    store.add_shipped(shipped)
    assert [share.title for share in store.find(Query()).shares] == titles[1:]
    assert shipped_shares(tmp_path) == []  # a server without the model does not show them
    store.add_shipped([])
