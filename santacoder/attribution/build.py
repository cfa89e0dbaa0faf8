"""From source files to the contents of an index: parts, which can be made in parallel, and their merger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np

from santacoder.attribution.index_file import ANCHOR, ANCHOR_TOKENS, FILE, Contents, Origin
from santacoder.attribution.tokens import COMMENT_STYLES, Tokens, tokenize
from santacoder.attribution.winnowing import fingerprints
from santacoder.errors import AttributionError

_BUCKET_SIZE = 8  # fingerprints a bucket, on average
_LIMIT = 2**32  # bytes of source and tokens that the index can number


class SourceText(Protocol):
    """A file to index."""

    @property
    def package(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def licence(self) -> str: ...

    @property
    def language(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class Part:
    """Index of some files: fingerprints' ``hashes`` [n] uint64 and ``places`` [n] counted from the part's first token,
    ``anchors`` and ``files`` as in the index but counted within the part, with a row for its end."""

    hashes: np.ndarray
    places: np.ndarray
    anchors: np.ndarray
    files: np.ndarray
    paths: bytes
    origins: list[Origin]


def index_part(sources: Iterable[SourceText], text: BinaryIO | None) -> Part:
    """Fingerprints of ``sources``, whose UTF-8 bytes are written to ``text``."""
    rows, hashes, anchors, paths = [(0, 0, 0, 0, 0, 0)], [np.empty(0, np.uint64)], [np.empty(0, ANCHOR)], bytearray()
    origins: dict[Origin, int] = {}
    for source in sources:
        content = source.text.encode("utf-8")
        tokens = tokenize(content, COMMENT_STYLES[source.language])
        token, byte, anchor, _, _, _ = rows[-1]
        origin = origins.setdefault(
            Origin(source.package, source.version, source.licence, source.language), len(origins)
        )
        rows[-1] = (token, byte, anchor, len(paths), origin, digest(content))
        paths += source.path.encode("utf-8")
        anchors.append(_anchors(content, tokens))
        hashes.append(tokens.hashes)
        rows.append((token + len(tokens.hashes), byte + len(content), anchor + len(anchors[-1]), len(paths), 0, 0))
        if text:
            text.write(content)
    files = np.array(rows, FILE)
    found, places = fingerprints(np.concatenate(hashes), files["token"][1:-1].astype(np.int64))
    return Part(found, places, np.concatenate(anchors), files, bytes(paths), list(origins))


def digest(content: bytes) -> int:
    """64 bits by which a file is known again."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def merge(parts: Sequence[Part]) -> Contents:
    """One index of all ``parts``, in their order.

    Raises:
        AttributionError: they are too large for one index.
    """
    ends = np.array(
        [[part.files[-1][name] for name in ("token", "byte", "anchor", "path")] for part in parts], np.int64
    )
    starts = np.cumsum(np.vstack([np.zeros(4, np.int64), ends]), axis=0)
    if starts[-1].max() >= _LIMIT:
        raise AttributionError("One index holds up to 4 GB of source. Build several, and ask each of them.")
    hashes = np.concatenate([part.hashes for part in parts])
    places = np.concatenate([part.places + start for part, start in zip(parts, starts[:, 0], strict=False)])
    order = np.argsort(hashes, kind="stable")
    hashes, places = hashes[order], places[order].astype(np.uint32)
    bits = max(1, (len(hashes) // _BUCKET_SIZE).bit_length())
    buckets = np.searchsorted(hashes, np.arange(2**bits, dtype=np.uint64) << np.uint64(64 - bits))
    files, origins = _merge_files(parts, starts)
    return Contents(
        buckets=np.append(buckets, len(hashes)).astype(np.uint32),
        hashes=remainder(hashes, bits),
        places=places,
        anchors=np.concatenate([part.anchors for part in parts]),
        files=files,
        paths=np.frombuffer(b"".join(part.paths for part in parts), np.uint8),
        origins=origins,
    )


def remainder(hashes: np.ndarray, bucket_bits: int) -> np.ndarray:
    """The 32 bits of ``hashes`` that the index keeps: those behind the ``bucket_bits`` that number the bucket."""
    return (hashes >> np.uint64(32 - bucket_bits)).astype(np.uint32)


def _anchors(content: bytes, tokens: Tokens) -> np.ndarray:
    places = tokens.starts[::ANCHOR_TOKENS]
    anchors = np.empty(len(places), ANCHOR)
    anchors["byte"] = places
    line_ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    anchors["line"] = np.searchsorted(line_ends, places) + 1
    return anchors


def _merge_files(parts: Sequence[Part], starts: np.ndarray) -> tuple[np.ndarray, list[Origin]]:
    """The files of all parts, counted from the first part's beginning, and their origins, each once."""
    numbers: dict[Origin, int] = {}
    tables = []
    for part, start in zip(parts, starts, strict=False):
        table = part.files[:-1].copy()
        for name, offset in zip(("token", "byte", "anchor", "path"), start, strict=True):
            table[name] += np.uint32(offset)
        translation = np.array([numbers.setdefault(origin, len(numbers)) for origin in part.origins], np.uint32)
        if len(table):
            table["origin"] = translation[table["origin"]]
        tables.append(table)
    end = np.array([(*starts[-1], 0, 0)], FILE)
    return np.concatenate([*tables, end]), list(numbers)
