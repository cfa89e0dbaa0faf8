"""The index on disk: the memory-mapped ``index.bin`` and, next to it, ``text.bin``, the concatenated indexed files.

``index.bin`` is 16 bytes (magic, format version, length of the header, its CRC-32), a JSON header and the sections
that it lists, little-endian, each at a multiple of 64 bytes:

- ``buckets``: start of the fingerprints with each value of the leading hash bits, in the order of hashes
- ``hashes``, ``places``: the next 32 bits of each fingerprint's hash, and its token position, counted over all files
- ``anchors``: byte offset in the file, and line, of every 128th token of each file
- ``files``: for every file its first token, byte and anchor, the start of its path, its origin (a row of ``origins`` in
  the header) and its digest; and a row for the end
- ``paths``: the files' paths, compressed by zlib to about a seventh, and decompressed when the index is opened

The header also has the CRC-32 of each section; they are checked when the index is opened.

``text.bin`` is needed to extend and confirm matches. An index without it is called compact.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np

from santacoder.atomic import replacing
from santacoder.attribution.contents import SECTIONS, Contents
from santacoder.attribution.index_checks import flaw_of
from santacoder.attribution.index_header import MADE_WITH, Header, HeaderFlaw, parsed
from santacoder.errors import AttributionError

_MAGIC = b"SCAT"
_FORMAT = 3
_FORMATS = (2, _FORMAT)  # in 2, nothing is compressed
_PREFIX = struct.Struct("<4sIII")
_ALIGNMENT = 64
_MAX_PATH = 4096  # bytes on average, as on Linux: bounds what a small file can be decompressed to


def write(path: Path, contents: Contents) -> None:
    """Write ``index.bin`` atomically.

    Raises:
        OSError: the disk is full.
    """
    sections = {name: np.ascontiguousarray(getattr(contents, name), dtype) for name, dtype in SECTIONS.items()}
    sections["paths"] = np.frombuffer(zlib.compress(sections["paths"].data, 9), np.uint8)
    described = {
        "made_with": MADE_WITH,
        "parameters": asdict(contents.parameters),
        "compressed": ["paths"],
        "counts": {name: len(section) for name, section in sections.items()},
        "checksums": {name: zlib.crc32(section.data) for name, section in sections.items()},
        "origins": contents.origins,
    }
    header = json.dumps(described).encode()
    with replacing(path) as out:
        out.write(_PREFIX.pack(_MAGIC, _FORMAT, len(header), zlib.crc32(header)))
        out.write(header)
        for section in sections.values():
            out.write(bytes(-out.tell() % _ALIGNMENT))
            section.tofile(out)


def read(path: Path) -> Contents:
    """Memory-map an index.

    Raises:
        AttributionError: it does not exist, is damaged, inconsistent or truncated, or was built with another
            tokenization.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header, start = _read_header(path, file)
    except OSError as error:
        raise AttributionError(f"{path} cannot be read: {error.strerror}.") from error
    arrays: dict[str, np.ndarray] = {}
    for name, dtype in SECTIONS.items():
        start += -start % _ALIGNMENT
        count = header.counts[name]
        end = start + count * dtype.itemsize
        if end > size:
            raise AttributionError(
                f"{path} is truncated: it should have at least {end:,} bytes, but has {size:,}. "
                "Copy it or build it again."
            )
        arrays[name] = np.memmap(path, dtype, "r", start, (count,)) if count else np.empty(0, dtype)
        start = end
    if start != size:
        raise AttributionError(f"{path} has {size - start:,} extra bytes at its end. Copy it or build it again.")
    for name, array in arrays.items():
        if zlib.crc32(array.data) != header.checksums[name]:
            raise _damaged(path, f"the checksum of its {name} is wrong")
    if header.compressed:
        arrays["paths"] = _decompressed(path, arrays["paths"], arrays["files"])
    contents = Contents(**arrays, origins=header.origins, parameters=header.parameters)
    flaw = flaw_of(contents)
    if flaw is not None:
        raise _damaged(path, flaw)
    return contents


def _damaged(path: Path, flaw: str) -> AttributionError:
    return AttributionError(f"{path} is damaged: {flaw}. Copy it or build it again.")


def _decompressed(path: Path, section: np.ndarray, files: np.ndarray) -> np.ndarray:
    """The paths of ``files``, of which nothing is decompressed that is longer than the files say."""
    n_bytes = int(files["path"][-1]) if len(files) else 0
    if n_bytes > len(files) * _MAX_PATH:
        raise _damaged(path, "its paths are too long")
    stream = zlib.decompressobj()
    try:
        decompressed = stream.decompress(section.data, n_bytes + 1)
    except zlib.error as error:
        raise _damaged(path, "its paths cannot be decompressed") from error
    if len(decompressed) != n_bytes or not stream.eof or stream.unused_data:
        raise _damaged(path, "its paths have the wrong length")
    return np.frombuffer(decompressed, np.uint8)


def _read_header(path: Path, file: BinaryIO) -> tuple[Header, int]:
    """The header, and the offset of the byte after it."""
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or not prefix.startswith(_MAGIC):
        raise AttributionError(f"{path} is not an attribution index. Create one with python -m train.data index.")
    _, version, length, checksum = _PREFIX.unpack(prefix)
    if version not in _FORMATS:
        raise AttributionError(
            f"{path} has format {version}, but this program reads formats {_FORMATS[0]} and {_FORMATS[1]}. Build it "
            "again with python -m train.data index."
        )
    encoded = file.read(length)
    if len(encoded) < length or zlib.crc32(encoded) != checksum:
        raise _damaged(path, "the checksum of its header is wrong")
    try:
        header = parsed(encoded)
    except HeaderFlaw as error:
        raise _damaged(path, str(error)) from error
    if header.made_with != MADE_WITH:
        raise AttributionError(
            f"{path} was made with {header.made_with}, but this program uses {MADE_WITH}: their fingerprints "
            "cannot be compared. Build it again with python -m train.data index."
        )
    return header, _PREFIX.size + length
