"""Stop sequences compared with a search in the whole text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.stop import StopFinder, borders
from santacoder.sampling import MAX_STOP_LENGTH, SamplingParams

words = st.text(alphabet="ab\n", min_size=1, max_size=4)


@given(pieces=st.lists(st.text(alphabet="ab\n", max_size=5), max_size=12), stop=st.lists(words, max_size=3))
def test_streamed_text_ends_where_a_search_in_the_whole_text_finds_the_first(
    pieces: list[str], stop: list[str]
) -> None:
    finder = StopFinder(stop)
    shown, stopped = "", False
    fed = ""
    for piece in pieces:
        fed += piece
        text, stopped = finder.feed(piece)
        shown += text
        if stopped:
            break
        assert fed.startswith(shown)
    found = [fed.index(sequence) for sequence in stop if sequence in fed]
    assert stopped == bool(found)
    assert (shown if stopped else shown + finder.finish()) == (fed[: min(found)] if found else fed)


def naive_borders(sequence: str) -> tuple[int, ...]:
    return tuple(
        max(size for size in range(end) if sequence[:end].endswith(sequence[:size]))
        for end in range(1, len(sequence) + 1)
    )


@given(sequence=st.text(alphabet="ab", min_size=1, max_size=20))
def test_borders_are_those_of_their_definition(sequence: str) -> None:
    assert borders(sequence) == naive_borders(sequence)


def test_the_work_grows_with_the_text_and_not_with_what_is_held_back() -> None:
    """A text that is almost a stop sequence for its whole length."""
    compared = 0

    class Counting(str):
        def __getitem__(self, index: Any) -> str:
            nonlocal compared
            compared += 1
            return super().__getitem__(index)

    finder = StopFinder([Counting("a" * (MAX_STOP_LENGTH - 1) + "b")])
    compared = 0
    shown = "".join(finder.feed("a")[0] for _ in range(10 * MAX_STOP_LENGTH))
    assert len(shown) == 10 * MAX_STOP_LENGTH - (MAX_STOP_LENGTH - 1)
    assert compared <= 4 * 10 * MAX_STOP_LENGTH


@pytest.mark.parametrize(
    ("stop", "sentence"),
    [
        (tuple(f"never{i}" for i in range(20_000)), "at most 64 stop sequences, not 20000"),
        (("x" * 257,), "a stop sequence has at most 256 characters, not 257"),
    ],
)
def test_too_many_or_too_long_ones_are_refused(stop: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SamplingParams(stop=stop)
