"""Source text as normalised tokens, which copies of the same code have in common.

White space and comments are dropped. The tokens are words (letters, digits, ``_``, ``$``, and anything beyond ASCII)
and other single characters, also inside strings. Whether something is a comment depends only on its line, so that a
fragment cut at line breaks always has the same tokens. The disadvantage is that a line inside a block comment is
recognised only if it begins with ``*``, as is usual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from santacoder.attribution.names import KEYWORDS

CommentStyle = Literal["#", "//"]
COMMENT_STYLES: dict[str, CommentStyle] = {"python": "#", "java": "//", "javascript": "//"}
# the version of the tokenization: an index with another version is rejected
VERSION = 1

_SPACE, _WORD, _OTHER = 0, 1, 2
_NAME = np.uint64(0x6E616D65)  # the hash of all identifiers if they may be renamed
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio, odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_MULTIPLIER, -1, 2**64)
# escapes come first, so that an unclosed quote costs only one scan of its line, not one for each quote in it
_QUOTED = rb"""\\.|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"""
_COMMENTS = {
    "#": re.compile(_QUOTED + rb"|(\#[^\n]*)"),
    "//": re.compile(
        _QUOTED
        + rb"|`[^`\\\n]*(?:\\.[^`\\\n]*)*`|(//[^\n]*|/\*(?:(?!\*/)[^\n])*(?:\*/)?|\n[ \t]*\*(?=[ \t/\n]|\Z)[^\n]*)"
    ),
}


@dataclass(frozen=True)
class Tokens:
    """The normalised tokens of a text: 64-bit hashes, and the start and end of each in UTF-8 bytes; all [n].

    ``hashes`` are for matching; ``exact`` distinguishes identifiers even if they may be renamed.
    """

    hashes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    exact: np.ndarray


def tokenize(source: bytes, style: CommentStyle, *, renamed: bool = False) -> Tokens:
    """Split ``source``, UTF-8 text that begins at the start of a line, into normalised tokens. If ``renamed``, all
    identifiers have the same hash.

    A token's hash is the sum of its bytes' random values, each multiplied by a power of an odd number (Karp and Rabin
    1987). It is computed for all tokens at once: the sum of the products, divided by the power at the token's start.
    """
    codes = np.frombuffer(_without_comments(source, style), np.uint8)
    kinds, values = _byte_tables()
    kind = kinds[codes]
    word = kind == _WORD
    other = kind == _OTHER
    begins = other | word
    begins[1:] &= ~(word[1:] & word[:-1])
    finishes = other | word
    finishes[:-1] &= ~(word[1:] & word[:-1])
    starts = np.flatnonzero(begins)
    if not len(starts):
        return Tokens(np.empty(0, np.uint64), starts, starts, np.empty(0, np.uint64))
    products = values[codes]
    products *= powers(len(codes))
    hashes = np.add.reduceat(products, starts) * powers(len(codes), inverse=True)[starts]
    exact = mix(hashes)
    compared = np.where(_are_names(codes[starts], exact, style), _NAME, exact) if renamed else exact
    return Tokens(compared, starts, np.flatnonzero(finishes) + 1, exact)


def powers(n: int, *, inverse: bool = False) -> np.ndarray:
    """Powers 0 to n - 1 of an odd number modulo 2^64, or of its inverse, [n] uint64."""
    return _powers(max(16, (n - 1).bit_length()), inverse)[:n]


def mix(hashes: np.ndarray) -> np.ndarray:
    """Mix the bits of ``hashes``, uint64, with the finaliser of MurmurHash3: every bit of the result depends on all
    input bits.
    """
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return hashes ^ (hashes >> np.uint64(33))


def _are_names(first_bytes: np.ndarray, hashes: np.ndarray, style: CommentStyle) -> np.ndarray:
    """Which tokens are identifiers, by their first byte and the keywords, [n] bool."""
    digits = (first_bytes >= ord("0")) & (first_bytes <= ord("9"))
    return (_byte_tables()[0][first_bytes] == _WORD) & ~digits & ~np.isin(hashes, _keyword_hashes(style))


@lru_cache
def _keyword_hashes(style: CommentStyle) -> np.ndarray:
    return tokenize(" ".join(KEYWORDS[style]).encode(), style).hashes


def _without_comments(source: bytes, style: CommentStyle) -> bytes | bytearray:
    """Replace the comments in ``source`` with spaces; the length is unchanged."""
    if (b"#" if style == "#" else b"*") not in source and (style == "#" or b"//" not in source):
        return source
    # a leading newline lets the patterns treat the first line like the others
    blanked = bytearray(b"\n" + source)
    for found in _COMMENTS[style].finditer(bytes(blanked)):
        if found.lastindex:
            start, end = found.span()
            blanked[start:end] = b" " * (end - start)
    return blanked[1:]


@lru_cache
def _byte_tables() -> tuple[np.ndarray, np.ndarray]:
    """For every byte, its kind, [256] uint8, and its value in hashes, [256] uint64, zero for white space."""
    kinds = np.full(256, _OTHER, np.uint8)
    kinds[:33] = kinds[127] = _SPACE
    kinds[[byte for byte in range(256) if byte > 127 or chr(byte).isalnum() or chr(byte) in "_$"]] = _WORD
    values = mix(np.arange(1, 257, dtype=np.uint64))
    values[kinds == _SPACE] = 0
    return kinds, values


@lru_cache
def _powers(bits: int, inverse: bool) -> np.ndarray:
    result = np.full(1 << bits, _INVERSE if inverse else _MULTIPLIER, np.uint64)
    result[0] = 1
    return np.multiply.accumulate(result)
