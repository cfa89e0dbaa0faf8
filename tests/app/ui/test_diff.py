"""Differences between texts."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.generation.records import MARK, Candidate, Completion, Generation
from app.ui.components import prompt_task
from app.ui.diff import compared_pieces, compared_words, in_common
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams
from tests.app.shares.generations import generation

TEXTS = st.text(alphabet="ab _=\n\t\r\u00e9\u4f60(<", max_size=40)


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_the_pieces_are_the_text(text: str, others: list[str]) -> None:
    assert "".join(piece for _, piece in compared_words(text, tuple(others))) == text


@given(TEXTS)
def test_nothing_differs_from_itself(text: str) -> None:
    assert all(kind == "same" for kind, _ in compared_words(text, (text, text)))


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_as_much_is_in_common_as_can_be(words: list[str], others: list[str]) -> None:
    """Compared with all subsequences."""
    found = in_common(words, others)
    kept = [word for word, is_common in zip(words, found, strict=True) if is_common]
    subsequences = {each for size in range(len(others) + 1) for each in combinations(others, size)}
    assert tuple(kept) in subsequences
    longest = max(size for size in range(len(words) + 1) if subsequences & set(combinations(words, size)))
    assert int(np.sum(found)) == longest


@pytest.mark.parametrize(
    "text,others,marked",
    [
        ("return a + b", ["return a - b"], ["+"]),
        ("self.items.append(x)", ["self.items.pop()"], ["append", "x"]),
        ("# ----", ["# ---- ----"], []),
        ("x = one two", ["x = three"], ["one two"]),  # the space between goes with the words
        ("a\nb\nc", ["a\nc"], ["b\n"]),
        ("all here", [], []),
        ("in one", ["in one", "in two"], ["one"]),
        ("written", [""], ["written"]),
    ],
)
def test_what_others_have_not_is_told(text: str, others: list[str], marked: list[str]) -> None:
    assert [piece for kind, piece in compared_words(text, tuple(others)) if kind == "new"] == marked


@pytest.mark.parametrize("line", ["-" * 4000, "-=" * 2000, "x\n" * 4000], ids=["a run", "many words", "many lines"])
def test_long_texts_are_compared_in_little_memory(line: str) -> None:
    """As a table of all characters, the smallest of them would take 64 MB."""
    tracemalloc.start()
    try:
        pieces = compared_words(f"{line}\nb", (f"{line}\na",))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "".join(piece for _, piece in pieces) == f"{line}\nb" and pieces[-1][0] == "new"
    assert peak < 32 << 20


def test_texts_of_very_many_words_are_compared_by_lines() -> None:
    many = "-=" * 2000
    assert compared_words(f"{many}\nreturn a\n", (f"{many}\nreturn b\n",)) == (
        ("same", f"{many}\n"),
        ("new", "return a\n"),
    )


def filled(*texts: str) -> Generation:
    completions = tuple(Completion(text, (), "stop", 0) for text in texts)
    parts = ("x = ", "\ny = ", "\n")
    return replace(generation("", texts=("",)), parts=parts, candidates=(Candidate(completions),))


def test_gaps_that_were_not_reached_are_marked_and_not_compared() -> None:
    whole, begun = filled("1", "2"), filled("3")
    rest = [("prompt", "\ny = "), ("prompt", MARK), ("prompt", "\n")]
    assert compared_pieces(begun, [whole]) == [("prompt", "x = "), ("new", "3"), *rest]
    assert compared_pieces(whole, [begun])[-2:] == [("same", "2"), ("prompt", "\n")]
    assert compared_pieces(filled(), [whole])[1] == ("prompt", MARK)


def test_no_more_gaps_than_the_infill_pane_takes() -> None:
    assert len(prompt_task(MARK * 8, "python", SamplingParams()).parts) == 9
    with pytest.raises(UserError, match="The code has 9 gaps"):
        prompt_task(MARK * 9, "python", SamplingParams())
