"""The words by which a share is found, the same on every database."""

from __future__ import annotations

import hashlib
import re

_MAX_LENGTH = 64
_MIN_PREFIX = 3
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words(text: str) -> set[str]:
    """The words of ``text`` in lower case. Identifiers are split into their parts; ``camelCase`` also counts as a
    whole."""
    found: set[str] = set()
    for match in _WORD.finditer(text):
        parts = _HUMP.split(match[0])
        found.update(part.casefold()[:_MAX_LENGTH] for part in (*parts, match[0]))
    return found


def searched(text: str) -> tuple[list[str], str]:
    """The words of a search, and the prefix of its last word, which may still be incomplete."""
    last = _WORD.findall(text)[-1:]
    if not last or len(last[0]) < _MIN_PREFIX or not text.endswith(last[0]):
        return sorted(words(text)), ""
    beginning = last[0].casefold()[:_MAX_LENGTH]
    return sorted(words(text[: -len(last[0])])), beginning


def facet(name: str, value: str) -> str:
    """An artificial word for a filter, so that the index of words handles filters, too."""
    return "x" + hashlib.sha256(f"{name} {value}".encode()).hexdigest()[:24]
