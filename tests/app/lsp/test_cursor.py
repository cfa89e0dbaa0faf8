"""Where a suggestion ends, and which word it continues."""

from __future__ import annotations

import pytest

from app.lsp.cursor import stop_at, typed_word


@pytest.mark.parametrize(
    ("before", "after", "language", "ends"),
    [
        ("def area(w, h):\n    ", "\n", "python", "block"),
        ("def area(w, h):", "\n", "python", "block"),
        ("def area(w, h):  # of a rectangle\r\n\r\n    ", "\r\n", "python", "block"),
        ('def area(w, h):\n    """The area."""\n    # fast\n    ', "\n", "python", "block"),
        ("for x in y:\n    if x:\n        ", "", None, "block"),
        ("async def f():\n    ", "", "python", "block"),
        ("x = {\n    ", "\n}", "python", "line"),
        ("x = 1\n", "", "python", "line"),
        ("", "", "python", "line"),
        ("def area(w, h):\n    return w", "\n", "python", "line"),
        ("def area(", "):\n", "python", "line"),
        ("def area(w, h):\n    ", "return 1\n", "python", "line"),
        ("lambda x:", "", "python", "line"),
        ("class A {\n  int f() {\n    ", "\n  }\n}", "java", "block"),
        ("class A {\n  int f() {\n    int x = ", ";\n  }\n}", "java", "line"),
        ("const f = (a) => {\n  // sums up\n  ", "\n};", "javascript", "block"),
        ("const f = (a) => {", "}", "javascript", "line"),
    ],
)
def test_a_suggestion_ends_with_the_line_or_with_the_block_of_a_header(
    before: str, after: str, language: str | None, ends: str
) -> None:
    assert stop_at(before, after, language) == ends  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "word"),
    [("x = math.sq", "sq"), ("naïve", "naïve"), ("x = 12", ""), ("x = a12", "a12"), ("x = ", ""), ("", ""), ("f(", "")],
)
def test_the_word_before_the_cursor(before: str, word: str) -> None:
    assert typed_word(before) == word
