"""Stop sequences against a search in the whole text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.stop import StopFinder

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
