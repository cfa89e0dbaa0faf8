"""Middles that repeat the text after the gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.ends.overlap import SuffixOverlap, repeats_line_before
from tests.santacoder.engine.ends.pieces import shown_of


def fitted(middle: str, suffix: str, size: int = 1) -> str:
    return shown_of(SuffixOverlap(suffix), middle, size)


@pytest.mark.parametrize(
    "middle,suffix,kept",
    [
        ("\n    }\n    return value;", "\n    return value;\n}\n", "\n    }"),
        ("    x = 1\n    return x\n", "    return x\n\nprint(1)\n", "    x = 1\n"),
        ("5;", ";\n}", "5"),
        ("a)", ")\n", "a"),
        ("g(x)", ")\n", "g(x)"),
        ("g(x))", ")\n", "g(x)"),
        ('hello")', '")\n', "hello"),
        ("f()\n}", "\n}\n", "f()"),
        ("if (y) {\n  z();\n}", "\n}\n", "if (y) {\n  z();\n}"),
        ("x\n", "\n\ndef f():\n", "x\n"),
        ("a\n  one\n  two\n  three", "\n  one\n  two\n  other\n", "a"),
        ("nothing of it", "\nreturn\n", "nothing of it"),
        ("retu", "return\n", "retu"),
        ("f(a)\nreturn value\nfoo() + bar", ")\nreturn value\nfoo()\n", "f(a)\nreturn value\nfoo() + bar"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_middle_is_cut_where_it_repeats_the_suffix(middle: str, suffix: str, kept: str, size: int) -> None:
    assert fitted(middle, suffix, size) == kept


@given(
    middle=st.text(alphabet="ab\n()'", max_size=16),
    suffix=st.text(alphabet="ab\n()'", max_size=8),
    size=st.integers(1, 5),
)
def test_nothing_but_an_end_is_cut(middle: str, suffix: str, size: int) -> None:
    assert middle.startswith(fitted(middle, suffix, size))


@given(middle=st.text(alphabet="ab\n", max_size=12), suffix=st.text(alphabet="ab\n", max_size=12))
def test_only_ends_that_the_suffix_begins_with_are_cut(middle: str, suffix: str) -> None:
    kept = fitted(middle, suffix)
    cut = middle[len(kept) :]
    assert middle.startswith(kept)
    if kept != middle and "\n" not in cut.strip("\n"):  # of two lines and more it goes no further
        assert suffix.startswith(cut)


def test_the_line_before_the_gap_is_known_again() -> None:
    assert repeats_line_before("a = 1\nb = 2\n", "b = 2\n")
    assert repeats_line_before("a = 1\nb = 2\n\n", "    b = 2")
    assert not repeats_line_before("a = 1\nb = 2\n", "b = 3")
    assert not repeats_line_before("", "")
