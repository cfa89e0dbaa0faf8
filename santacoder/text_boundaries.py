"""Where a word begins in source text, in which ``\\n`` before it is the end of a line and no letter."""

from __future__ import annotations

import re

# escapes of Python, Java and JavaScript, without their backslash
_ESCAPE = re.compile(
    r"x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|[A-Za-z]", re.ASCII
)


def without_escape(text: str, start: int, end: int) -> int:
    """Where ``text[start:end]`` begins without the rest of an escape sequence whose backslash stands before it."""
    backslashes = 0
    while backslashes < min(start, 100) and text[start - backslashes - 1] == "\\":
        backslashes += 1
    if backslashes % 2 == 0:
        return start
    escape = _ESCAPE.match(text, start, end)
    return escape.end() if escape else start


def begins_word(text: str, start: int, also: str = "") -> bool:
    """Whether no ASCII letter, digit or one of ``also`` stands before ``start``, or one that ends an escape."""
    before = text[max(0, start - 12) : start]  # \\U and eight digits are the longest
    if not before or not (before[-1] in also or (before[-1].isascii() and before[-1].isalnum())):
        return True
    backslash = before.rfind("\\")
    if backslash < 0:
        return False
    first = start - len(before) + backslash + 1
    return first < start and without_escape(text, first, start) == start
