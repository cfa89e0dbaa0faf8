"""What a share is found by: its words, the same on every database."""

from __future__ import annotations

import hashlib
import re

_MAX_LENGTH = 64
_MIN_PREFIX = 3
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words(text: str) -> set[str]:
    """The words of ``text`` in lower case. Identifiers count as their parts, and ``camelCase`` as a whole, too."""
    found: set[str] = set()
    for match in _WORD.finditer(text):
        parts = _HUMP.split(match[0])
        found.update(part.casefold()[:_MAX_LENGTH] for part in (*parts, match[0]))
    return found


def searched(text: str) -> tuple[list[str], str]:
    """The words a search asks for, and the beginning of one: the last, as it may still be being typed."""
    last = _WORD.findall(text)[-1:]
    if not last or len(last[0]) < _MIN_PREFIX or not text.endswith(last[0]):
        return sorted(words(text)), ""
    beginning = last[0].casefold()[:_MAX_LENGTH]
    return sorted(words(text[: -len(last[0])])), beginning


def facet(name: str, value: str) -> str:
    """A made-up word that stands for a filter, so that an index of words narrows filters, too."""
    return "x" + hashlib.sha256(f"{name} {value}".encode()).hexdigest()[:24]
