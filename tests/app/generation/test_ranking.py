"""The order of candidates, and which of them are considered equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.generation.gaps import unfilled
from app.generation.ranking import ranked
from app.generation.records import Candidate, Completion, Generation, Token
from santacoder.sampling import SamplingParams


def candidate(*texts: str, logprob: float = -1.0, seed: int = 0) -> Candidate:
    tokens = (Token("x", 0, logprob), Token("y", 1, logprob - 1))
    return Candidate(tuple(Completion(text, tokens, "stop", seed) for text in texts))


def generation(parts: tuple[str, ...], texts: tuple[str, ...]) -> Generation:
    return Generation(
        "infill" if len(parts) > 1 else "complete",
        "python",
        parts,
        SamplingParams(),
        "psm",
        "a/b",
        "main",
        "0" * 40,
        "torch",
        (candidate(*texts),),
        1,
        0.0,
        0.0,
    )


def test_the_likeliest_is_first_and_those_alike_are_one() -> None:
    given_ones = [candidate("b", logprob=-3), candidate("a", logprob=-2), candidate("b", logprob=-1, seed=7)]
    first, second = ranked(given_ones, ("x",))
    assert (first.completions[0].text, first.n_alike, first.completions[0].seed) == ("b", 2, 7)
    assert (second.completions[0].text, second.n_alike) == ("a", 1)


def test_what_only_repeats_the_line_before_is_last() -> None:
    parts = ("a = 1\nb = 2\n", "\nc = 3\n")
    order = ranked([candidate("b = 2", logprob=-0.1), candidate("d = 4", logprob=-3)], parts)
    assert [each.completions[0].text for each in order] == ["d = 4", "b = 2"]
    # where code goes on at its end, a line may well come again
    assert ranked([candidate("b = 2", logprob=-0.1), candidate("d", logprob=-3)], parts[:1])[0].n_alike == 1


@pytest.mark.parametrize(
    "edited,parts",
    [
        ("a = 1\nb", ("a = ", "\nb")),
        ("a = 12\nb", ("a = ", "2\nb")),
        ("# new\na = 1\nb", ("# new\na = ", "\nb")),
        ("a = 1\nb\nc", ("a = ", "\nb\nc")),
        ("a = \nb", ("a = ", "\nb")),
    ],
)
def test_edited_code_still_knows_its_gap(edited: str, parts: tuple[str, ...]) -> None:
    assert unfilled(generation(("a = ", "\nb"), ("1",)), 0, edited) == parts


def test_the_prompt_of_a_continuation_is_what_stands_before_it() -> None:
    shown = generation(("def f():",), ("\n    pass",))
    assert unfilled(shown, 0, "def f():\n    pass") == ("def f():",)
    assert unfilled(shown, 0, "def g():\n    pass") == ("def g():",)
    assert unfilled(shown, 0, "def f():\n    pass\nmine") == ("def f():\n    pass\nmine",)


@given(
    parts=st.lists(st.text("ab\n", min_size=1, max_size=6), min_size=2, max_size=4),
    begin=st.integers(0, 20),
    end=st.integers(0, 20),
    new=st.text("xy", max_size=4),
)
def test_whatever_is_edited_there_are_as_many_gaps_as_before(parts: list[str], begin: int, end: int, new: str) -> None:
    texts = tuple("w" * index for index in range(1, len(parts)))
    shown = generation(tuple(parts), texts)
    code = shown.code(0)
    edited = code[:begin] + new + code[max(begin, end) :]
    cut = unfilled(shown, 0, edited)
    assert len(cut) == len(parts)
    rest = iter(edited)
    assert all(character in rest for character in "".join(cut))  # in order, nothing made up
