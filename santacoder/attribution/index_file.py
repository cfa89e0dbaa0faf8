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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from santacoder.atomic import replacing
from santacoder.attribution import tokens, winnowing
from santacoder.errors import AttributionError

ANCHOR_TOKENS = 128
ANCHOR = np.dtype([("byte", "<u4"), ("line", "<u4")])
FILE = np.dtype(
    [("token", "<u4"), ("byte", "<u4"), ("anchor", "<u4"), ("path", "<u4"), ("origin", "<u4"), ("digest", "<u8")]
)
_NUMBER = np.dtype("<u4")
_SECTIONS: dict[str, np.dtype] = {
    "buckets": _NUMBER,
    "hashes": _NUMBER,
    "places": _NUMBER,
    "anchors": ANCHOR,
    "files": FILE,
    "paths": np.dtype("u1"),
}
_MAGIC = b"SCAT"
_FORMAT = 3
_FORMATS = (2, _FORMAT)  # in 2, nothing is compressed
_PREFIX = struct.Struct("<4sIII")
_ALIGNMENT = 64
_MADE_WITH = {"tokens": tokens.VERSION, "run": winnowing.RUN}


class Origin(NamedTuple):
    """Properties that many files share. ``registry`` is empty or one whose addresses ``origins.py`` knows."""

    package: str
    version: str
    licence: str
    language: str
    registry: str = ""


@dataclass(frozen=True)
class Parameters:
    """The parameters of an index. ``window`` is the winnowing window; with ``renamed``, all identifiers are equal."""

    window: int = winnowing.WINDOW
    renamed: bool = False


USUAL = Parameters()


@dataclass(frozen=True)
class Contents:
    """The sections, in memory or memory-mapped, and the contents of the header."""

    buckets: np.ndarray
    hashes: np.ndarray
    places: np.ndarray
    anchors: np.ndarray
    files: np.ndarray
    paths: np.ndarray
    origins: list[Origin]
    parameters: Parameters

    @property
    def bucket_bits(self) -> int:
        return (len(self.buckets) - 1).bit_length() - 1

    @property
    def n_files(self) -> int:
        return len(self.files) - 1

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of the indexed files."""
        return int(self.files["byte"][-1])


def write(path: Path, contents: Contents) -> None:
    """Write ``index.bin`` atomically.

    Raises:
        OSError: the disk is full.
    """
    sections = {name: np.ascontiguousarray(getattr(contents, name), dtype) for name, dtype in _SECTIONS.items()}
    sections["paths"] = np.frombuffer(zlib.compress(sections["paths"].data, 9), np.uint8)
    described = {
        "made_with": _MADE_WITH,
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
        AttributionError: it does not exist, is damaged or truncated, or was built with another tokenization.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header, start = _read_header(path, file)
    except OSError as error:
        raise AttributionError(f"{path} cannot be read: {error.strerror}.") from error
    arrays: dict[str, np.ndarray] = {}
    for name, dtype in _SECTIONS.items():
        start += -start % _ALIGNMENT
        count = header["counts"][name]
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
        if zlib.crc32(array.data) != header["checksums"][name]:
            raise AttributionError(
                f"{path} is damaged: the checksum of its {name} is wrong. Copy it or build it again."
            )
    if "paths" in header.get("compressed", []):
        arrays["paths"] = _decompressed(path, arrays["paths"], int(arrays["files"]["path"][-1]))
    origins = [Origin(*origin) for origin in header["origins"]]
    return Contents(**arrays, origins=origins, parameters=Parameters(**header["parameters"]))


def _decompressed(path: Path, section: np.ndarray, n_bytes: int) -> np.ndarray:
    try:
        decompressed = zlib.decompressobj().decompress(section.data, n_bytes or 1)  # 0 would be no limit
    except zlib.error as error:
        raise AttributionError(f"{path} is damaged: its paths cannot be decompressed. Build it again.") from error
    if len(decompressed) != n_bytes:
        raise AttributionError(f"{path} is damaged: its paths have the wrong length. Build it again.")
    return np.frombuffer(decompressed, np.uint8)


def _read_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
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
        raise AttributionError(f"{path} is damaged: the checksum of its header is wrong. Copy it or build it again.")
    header = json.loads(encoded)
    if header["made_with"] != _MADE_WITH:
        raise AttributionError(
            f"{path} was made with {header['made_with']}, but this program uses {_MADE_WITH}: their fingerprints "
            "cannot be compared. Build it again with python -m train.data index."
        )
    return header, _PREFIX.size + length
