"""Makes invisible and bidirectional control characters visible: code must be what it looks like."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, formats (the bidirectional ones among them), separators
_PLAIN = {"\n", "\t"}


def reveal(text: str) -> str:
    """``text`` with each such character as ``‹U+202E›``. Line breaks and tabs stay."""
    text = text.replace("\r\n", "\n")
    return "".join(character if _is_plain(character) else f"‹U+{ord(character):04X}›" for character in text)


def _is_plain(character: str) -> bool:
    return character in _PLAIN or unicodedata.category(character) not in _INVISIBLE
