"""The guarantees of the store, on either database."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection

from app.errors import ShareMissing, ShareRefused, StoreUnavailable
from app.generation.records import Comparison
from app.shares.models import MAX_CODE, MAX_TITLE, Page, Query, suggested_title
from app.shares.store import ShareStore
from tests.app.shares.generations import generation


def titles(page: Page) -> list[str]:
    return [share.title for share in page.shares]


def test_a_share_is_opened_as_it_was_stored(store: ShareStore) -> None:
    shared = generation("a = '\u202e'\n", '\nb = "é𝄞"\n', texts=("x\0\x1b[31m",), n=3)
    receipt = store.add(shared, "  A   title ", candidate=2, attribution='{"spans": []}')
    opened = store.open(receipt.slug)
    assert opened.generation == shared
    assert (opened.candidate, opened.attribution) == (2, '{"spans": []}')
    share = opened.share
    assert (share.title, share.pane, share.language, share.branch) == (
        "A title",
        "infill",
        "python",
        "santacoder/nano@main",
    )
    assert (share.sha, share.likes, share.hidden) == (shared.sha, 0, False)
    assert share.excerpt == [("a = '\u202e'\n", False), ("x\0\x1b[31m", True), ('\nb = "é𝄞"', False)]


def test_a_comparison_is_opened_as_it_was_stored_and_found_by_what_each_wrote(store: ShareStore) -> None:
    comparison = Comparison(
        (generation("a = ", texts=("left",)), generation("a = ", texts=("right",), revision="other"))
    )
    receipt = store.add(comparison, "Both")
    opened = store.open(receipt.slug)
    assert opened.compared == comparison and opened.generation == comparison.first
    assert opened.share.pane == "compare" and opened.share.excerpt == [("a = ", False), ("left", True)]
    for word in ("left", "right"):
        assert titles(store.find(Query(word))) == ["Both"]
    store.add(generation("b = "), "One")
    assert [share.pane for share in store.find(Query()).shares] == ["complete", "compare"]


def test_a_share_without_a_title_is_called_by_its_last_definition(store: ShareStore) -> None:
    receipt = store.add(generation("import os\n\ndef first():\n    pass\n\n    def second(a):\n"), "")
    assert store.open(receipt.slug).share.title == "def second(a)"
    assert store.open(store.add(generation("\n  x = 1"), "").slug).share.title == "x = 1"
    assert store.open(store.add(generation("\n"), " ").slug).share.title == "Untitled"


def test_a_title_is_soon_found_in_a_million_blank_lines() -> None:
    assert suggested_title(generation("\n" * 1_000_000)) == "Untitled"
    assert suggested_title(generation("def first():" + "\n " * 1_000_000)) == "def first()"


def test_excerpts_show_the_lines_around_what_was_written(store: ShareStore) -> None:
    before = "".join(f"line {number}\n" for number in range(100))
    receipt = store.add(generation(before, before, texts=("written",)), "long")
    pieces = store.open(receipt.slug).share.excerpt
    assert [written for _, written in pieces] == [False, True, False]
    assert pieces[0][0].splitlines()[0] == "line 94" and len("".join(text for text, _ in pieces).splitlines()) == 14


def test_words_of_title_prompt_and_output_are_found_whatever_their_spelling(store: ShareStore) -> None:
    store.add(generation("def count_lines(path):", texts=("    return os.path.getsize(path)",)), "Straße der Zeilen")
    store.add(generation("function openFile() {}", texts=("readBytes();",), language="javascript"), "other")
    for text in (
        "count",
        "lines",
        "count_lines",
        "COUNT path",
        "getsize",
        "os.path.",
        "STRASSE",
        "zeil",
        "getsize strasse",
    ):
        assert titles(store.find(Query(text))) == ["Straße der Zeilen"], text
    for text in ("openFile", "file", "open readbytes", "readB"):
        assert titles(store.find(Query(text))) == ["other"], text
    for text in (
        "absent",
        "count openFile",
        "!!!",
        "ount",
        "li",
        '"',
        "a OR b",
        "NEAR(count)",
        "' | '",
        "x*",
        "co\0unt",
    ):
        assert titles(store.find(Query(text))) == [], text


def test_filters_narrow_lists_and_searches(store: ShareStore) -> None:
    for language in ("python", "java"):
        for revision in ("main", "no-fim"):
            store.add(generation("word", language=language, revision=revision), f"{language} {revision}")
    assert store.branches() == ["santacoder/nano@main", "santacoder/nano@no-fim"]
    for text in ("", "word"):
        assert titles(store.find(Query(text, language="java"))) == ["java no-fim", "java main"]
        assert titles(store.find(Query(text, branch="santacoder/nano@main"))) == ["java main", "python main"]
        assert titles(store.find(Query(text, "python", "santacoder/nano@no-fim"))) == ["python no-fim"]
        assert titles(store.find(Query(text, "python", "other/model@main"))) == []


@pytest.mark.parametrize("text", ["", "word"])
@pytest.mark.parametrize("order", ["newest", "likes"])
def test_pages_follow_each_other_without_gap_or_repetition(store: ShareStore, text: str, order: str) -> None:
    slugs = [store.add(generation("word"), str(number)).slug for number in range(10)]
    for number in (1, 4, 4, 7):
        store.like(slugs[number], f"visitor {number}")
    store.like(slugs[4], "another")
    expected = [str(number) for number in reversed(range(10))]
    if order == "likes":
        expected = ["4", "7", "1"] + [title for title in expected if title not in "471"]
    seen, after = [], None
    for _ in range(4):
        page = store.find(Query(text, order=order, after=after, limit=3))
        seen += titles(page)
        after = page.next
        if order == "newest":
            store.add(generation("word"), "new")  # moves nothing on the pages behind
    assert seen == expected and after is None


def test_a_visitor_likes_once(store: ShareStore) -> None:
    slug = store.add(generation("x"), "liked").slug
    assert [store.like(slug, "one"), store.like(slug, "one"), store.like(slug, "two")] == [1, 1, 2]
    assert store.liked([slug, "missing"], "one") == {slug} and store.liked([slug], "three") == set()
    assert [store.like(slug, "one", False), store.like(slug, "one", False)] == [1, 1]
    assert store.open(slug).share.likes == 1


def test_likes_at_the_same_time_are_all_counted(store: ShareStore) -> None:
    slug = store.add(generation("x"), "liked").slug
    threads = [threading.Thread(target=store.like, args=(slug, f"visitor {number}")) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.open(slug).share.likes == 16


def test_only_the_authors_token_deletes(store: ShareStore) -> None:
    receipt = store.add(generation("unmistakable"), "mine")
    other = store.add(generation("x"), "other")
    store.like(receipt.slug, "visitor")
    store.report(receipt.slug, "visitor", "spam")
    for token in ("", "wrong", other.deletion_token):
        with pytest.raises(ShareRefused, match="not the deletion link of the share"):
            store.delete(receipt.slug, token)
    store.delete(receipt.slug, receipt.deletion_token)
    with pytest.raises(ShareMissing, match="author may have deleted it"):
        store.open(receipt.slug)
    assert titles(store.find(Query("unmistakable"))) == [] and store.reports() == []
    assert titles(store.find(Query())) == ["other"]
    with pytest.raises(ShareMissing):
        store.delete(receipt.slug, receipt.deletion_token)


def test_what_a_moderator_hides_is_gone_until_shown_again(store: ShareStore) -> None:
    slug = store.add(generation("word"), "reported").slug
    store.report(slug, "one", "  spam ")
    store.report(slug, "one", "spam again")
    store.report(slug, "two", "rude")
    assert [report.reason for report in store.reports()] == ["rude", "spam"]
    store.moderate(slug, hidden=True)
    with pytest.raises(ShareMissing, match="hidden by a moderator"):
        store.open(slug)
    for query in (Query(), Query("word"), Query(order="likes"), Query("word", language="python")):
        assert titles(store.find(query)) == []
    with pytest.raises(ShareMissing):
        store.like(slug, "three")
    assert [report.share.hidden for report in store.reports()] == [True, True]
    store.moderate(slug, hidden=False)
    assert titles(store.find(Query())) == ["reported"] and store.reports() == []


def test_what_is_too_large_is_refused_and_not_stored(store: ShareStore) -> None:
    for shared, title, sentence in [
        (generation("x"), "t" * (MAX_TITLE + 1), "The title has 121 characters"),
        (generation("x" * MAX_CODE), "", "The code has 100,004 characters"),
        (generation("x", texts=("y" * 1000,), n=50), "", "Share fewer candidates"),
        (generation("x", n=0), "", "press Run first"),
    ]:
        with pytest.raises(ShareRefused, match=sentence):
            store.add(shared, title)
    slug = store.add(generation("x"), "").slug
    for reason, sentence in (("  ", "Say what is wrong"), ("r" * 501, "501 characters")):
        with pytest.raises(ShareRefused, match=sentence):
            store.report(slug, "visitor", reason)
    assert len(store.find(Query()).shares) == 1


def test_the_disk_is_not_tried_more_often_than_once_a_second(
    store: ShareStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.shares.store._SECONDS_WELL", 3600)
    writing, n_tries = store._database.writing, 0

    def counted() -> AbstractContextManager[Connection]:
        nonlocal n_tries
        n_tries += 1
        if n_tries < 3:
            raise StoreUnavailable("It is away.")
        return writing()

    monkeypatch.setattr(store._database, "writing", counted)
    assert [store.problem() for _ in range(6)] == ["It is away.", "It is away.", None, None, None, None]
    assert n_tries == 3  # what is wrong is tried again


def test_a_store_opened_again_has_everything(database_url: str) -> None:
    from app.shares.database import Database

    first = ShareStore(Database(database_url))
    slug = first.add(generation("word"), "kept").slug
    first.close()
    second = ShareStore(Database(database_url))
    assert second.open(slug).share.title == "kept" and titles(second.find(Query("word"))) == ["kept"]
    assert second.problem() is None
    second.close()
