"""Building an index from source files: in parts, which can be built in parallel, and then merged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

from santacoder.attribution.contents import ANCHOR, ANCHOR_TOKENS, FILE, USUAL, Contents, Origin, Parameters
from santacoder.attribution.tokens import COMMENT_STYLES, Tokens, tokenize
from santacoder.attribution.winnowing import fingerprints
from santacoder.errors import AttributionError

_BUCKET_SIZE = 8  # average number of fingerprints per bucket
_TOKENS_AT_ONCE = 2**19
_LIMIT = 2**32  # maximum bytes of source, and maximum tokens, that the index can address


class SourceText(NamedTuple):
    """A file to index."""

    origin: Origin
    path: str
    text: str


@dataclass(frozen=True)
class Part:
    """The index of some files. ``hashes`` [n] uint64 and ``places`` [n] are those of the fingerprints, counted from the
    part's first token; ``anchors`` and ``files`` are as in the index, but relative to the part, with a row for its end.
    """

    hashes: np.ndarray
    places: np.ndarray
    anchors: np.ndarray
    files: np.ndarray
    paths: bytes
    origins: list[Origin]


def index_part(sources: Iterable[SourceText], text: BinaryIO | None, parameters: Parameters = USUAL) -> Part:
    """Index ``sources``, and write their UTF-8 bytes to ``text``."""
    rows, anchors, paths = [(0, 0, 0, 0, 0, 0)], [np.empty(0, ANCHOR)], bytearray()
    origins: dict[Origin, int] = {}
    found = _Fingerprints(parameters.window)
    for source in sources:
        content = source.text.encode("utf-8")
        tokens = tokenize(content, COMMENT_STYLES[source.origin.language], renamed=parameters.renamed)
        token, byte, anchor, _, _, _ = rows[-1]
        origin = origins.setdefault(source.origin, len(origins))
        rows[-1] = (token, byte, anchor, len(paths), origin, digest(content))
        paths += source.path.encode("utf-8")
        anchors.append(_anchors(content, tokens))
        found.add(tokens.hashes)
        rows.append((token + len(tokens.hashes), byte + len(content), anchor + len(anchors[-1]), len(paths), 0, 0))
        if text:
            text.write(content)
    hashes, places = found.all()
    return Part(hashes, places, np.concatenate(anchors), np.array(rows, FILE), bytes(paths), list(origins))


class _Fingerprints:
    """Computes the fingerprints of consecutive files in chunks of some hundred thousand tokens, which fit in the
    processor's cache.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._pending: list[np.ndarray] = []
        self._n_pending = self._n_done = 0
        self._hashes = [np.empty(0, np.uint64)]
        self._places = [np.empty(0, np.int64)]

    def add(self, tokens: np.ndarray) -> None:
        """Add the token hashes of a file."""
        self._pending.append(tokens)
        self._n_pending += len(tokens)
        if self._n_pending > _TOKENS_AT_ONCE:
            self._flush()

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all fingerprints, and their positions counted from the first token of the first file."""
        if self._pending:
            self._flush()
        return np.concatenate(self._hashes), np.concatenate(self._places)

    def _flush(self) -> None:
        file_starts = np.cumsum([len(tokens) for tokens in self._pending])[:-1]
        hashes, places = fingerprints(np.concatenate(self._pending), self._window, file_starts)
        self._hashes.append(hashes)
        self._places.append(places + self._n_done)
        self._n_done += self._n_pending
        self._pending, self._n_pending = [], 0


def digest(content: bytes) -> int:
    """A 64-bit hash that identifies the content of a file."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def merge(parts: Sequence[Part], parameters: Parameters = USUAL) -> Contents:
    """Merge ``parts``, all built with ``parameters``, into one index, in order.

    Raises:
        AttributionError: they are too large for one index.
    """
    ends = np.array(
        [[part.files[-1][name] for name in ("token", "byte", "anchor", "path")] for part in parts], np.int64
    )
    starts = np.cumsum(np.vstack([np.zeros(4, np.int64), ends]), axis=0)
    if starts[-1].max() >= _LIMIT:
        raise AttributionError(
            "An index can hold at most 4 GB of source. Build several indexes in subfolders of one folder."
        )
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
        parameters=parameters,
    )


def remainder(hashes: np.ndarray, bucket_bits: int) -> np.ndarray:
    """The 32 bits of ``hashes`` that the index stores: those after the ``bucket_bits`` that select the bucket."""
    return (hashes >> np.uint64(32 - bucket_bits)).astype(np.uint32)


def _anchors(content: bytes, tokens: Tokens) -> np.ndarray:
    places = tokens.starts[::ANCHOR_TOKENS]
    anchors = np.empty(len(places), ANCHOR)
    anchors["byte"] = places
    line_ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    anchors["line"] = np.searchsorted(line_ends, places) + 1
    return anchors


def _merge_files(parts: Sequence[Part], starts: np.ndarray) -> tuple[np.ndarray, list[Origin]]:
    """The files of all parts, with positions relative to the first part, and their distinct origins."""
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
