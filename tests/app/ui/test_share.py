"""What is looked at before it is shared."""

from __future__ import annotations

from dataclasses import replace

from app.generation.records import Candidate, Generation
from app.shares.models import Receipt
from app.ui.sharing.share import _Content
from tests.app.shares.generations import completion, generation

PASSWORD = 'password = "correct horse"'


def content(shared: Generation, candidate: int = 0) -> _Content:
    return _Content((shared,), candidate, "A title", lambda title: Receipt("abcdefgh", "token"))


def written(*texts: str) -> Generation:
    return replace(generation("x = 1\n"), candidates=tuple(Candidate((completion(text),)) for text in texts))


def test_candidates_that_are_not_shown_are_looked_at_too() -> None:
    shared = written("y = 2", PASSWORD)
    assert content(shared).confidential() == [("password in another candidate", 2)]
    assert content(shared, 1).confidential() == [("password", 2)]
    assert content(written("y = 2")).confidential() == []


def test_another_run_or_candidate_is_another_content() -> None:
    shared = written("y = 2", "z = 3")
    assert content(shared) == content(shared)
    assert content(shared) != content(shared, 1)
    assert content(shared) != content(written("y = 2", PASSWORD))
