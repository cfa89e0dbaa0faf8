"""Word boundaries in source text, where ``\\n`` before a word is an escape sequence, not a letter."""

from __future__ import annotations

import re

# escape sequences of Python, Java and JavaScript, without their backslash
_ESCAPE = re.compile(
    r"x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|[A-Za-z]", re.ASCII
)


def without_escape(text: str, start: int, end: int) -> int:
    """The start of ``text[start:end]`` after removing the rest of an escape sequence whose backslash precedes it."""
    backslashes = 0
    while backslashes < min(start, 100) and text[start - backslashes - 1] == "\\":
        backslashes += 1
    if backslashes % 2 == 0:
        return start
    escape = _ESCAPE.match(text, start, end)
    return escape.end() if escape else start


def begins_word(text: str, start: int, also: str = "") -> bool:
    """Whether the character before ``start`` is not an ASCII letter, digit or one of ``also``, or ends an escape
    sequence.
    """
    before = text[max(0, start - 12) : start]  # \\U and eight digits are the longest escape sequence
    if not before or not (before[-1] in also or (before[-1].isascii() and before[-1].isalnum())):
        return True
    backslash = before.rfind("\\")
    if backslash < 0:
        return False
    first = start - len(before) + backslash + 1
    return first < start and without_escape(text, first, start) == start
