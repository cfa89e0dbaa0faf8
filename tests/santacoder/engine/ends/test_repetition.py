"""Texts that repeat themselves, and texts that only seem to."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.ends.repetition import RepetitionEnd


def shown_of(pieces: list[str]) -> tuple[str, bool, str]:
    """The shown text of tokens with these texts, whether it ended early, and what was cut off."""
    end = RepetitionEnd()
    shown = ""
    for piece in pieces:
        more, has_ended = end.feed(int.from_bytes(piece.encode(), "big"), piece)
        shown += more
        assert "".join(pieces).startswith(shown)
        if has_ended:
            return shown, True, end.cut
    more, has_ended = end.finish()
    return shown + more, has_ended, end.cut


@pytest.mark.parametrize(
    "text,kept",
    [
        ("return y\nreturn y\nreturn y\nreturn", "return y"),
        ("a = 1\n\nb = 2\n\nb = 2\n\nb = 2\n", "a = 1\n\nb = 2\n"),
        ("x = 1\nx = 1\nx = 1", "x = 1"),
        ("foo bar foo bar foo bar foo bar foo", "foo bar "),
        ("1 = a\nb\na\nb\na\nb\na\nb\na\nb\n", "1 = a\nb\n"),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_one_copy_is_kept_of_what_repeats_itself(text: str, kept: str, size: int) -> None:
    shown, has_ended, cut = shown_of([text[at : at + size] for at in range(0, len(text), size)])
    assert has_ended
    assert shown == kept
    assert text.startswith(shown + cut)


def test_what_has_no_letter_may_be_repeated_more_often() -> None:
    assert shown_of(list("v = [" + "0, " * 20)) == ("v = [0, ", True, "0, " * 15)
    assert shown_of(list("v = [" + "0, " * 15 + "]")) == ("v = [" + "0, " * 15 + "]", False, "")


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\nx = 1\ny = 2\n",
        "x = 1\nx = 1\nx = 12\n",
        "    }\n    }\n    }\n    }\n",
        "a, a, a = b",
        "v = [0, 0, 0, 0, 0, 0]\n",
        "f(a)\nf(b)\nf(c)\nf(d)\n",
        "\n\n\n\n\n\n",
    ],
)
def test_what_is_usual_in_code_is_no_repetition(text: str) -> None:
    assert shown_of(list(text)) == (text, False, "")


def test_a_line_of_the_prompt_is_none_of_the_text() -> None:
    """Only the line that the text continues counts as its first line."""
    for prompt, text, kept in (
        ("    f()", "\n    f()\n    f()\n", "\n    f()\n    f()\n"),
        ("    f()", "\n    f()\n    f()\n    f()\n", "\n    f()"),
        ("    f", "()\n    f()\n    f()\n", "()"),
    ):
        end = RepetitionEnd(prompt)
        shown = ""
        for index, character in enumerate(text):
            more, has_ended = end.feed(index, character)
            shown += more
            if has_ended:
                break
        else:
            shown += end.finish()[0]
        assert shown == kept


def test_a_token_copies_little_of_a_long_line_of_the_prompt() -> None:
    end = RepetitionEnd("x" * 4_000_000)
    tracemalloc.start()
    try:
        assert end.feed(0, "y") == ("y", False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@given(st.lists(st.sampled_from(["a", "b", "\n", " ", "0"]), max_size=80))
def test_nothing_is_lost_and_nothing_is_taken_back(pieces: list[str]) -> None:
    text = "".join(pieces)
    shown, has_ended, cut = shown_of(pieces)
    assert text.startswith(shown + cut)
    assert has_ended or shown == text
    assert has_ended == repeats(pieces)


def repeats(pieces: list[str]) -> bool:
    """The definition of a repetition, checked at every position."""
    for end in range(1, len(pieces) + 1):
        for length in range(1, end // 4 + 1):
            unit = pieces[end - length : end]
            times = 4 if any(map(str.isalpha, "".join(unit))) else 16
            if end >= times * length and pieces[end - times * length : end] == unit * times:
                return True
    lines = [line.rstrip() for line in "".join(pieces).split("\n") if line.strip()]
    return any(
        first == second == third and any(map(str.isalnum, first))
        for first, second, third in zip(lines, lines[1:], lines[2:], strict=False)
    )
