"""The index on disk: ``index.bin``, memory-mapped, and beside it ``text.bin``, the indexed files in a row.

``index.bin`` is 16 bytes (magic, format version, length of the header, its CRC-32), a header in JSON and the sections
it names, little-endian, each at a multiple of 64 bytes:

- ``buckets``: where the fingerprints with each leading bits begin, in order of their hashes
- ``hashes``, ``places``: the next 32 bits of each fingerprint's hash, and its token, counted over all files
- ``anchors``: byte within its file and line of every 128th token of each file
- ``files``: first token, byte, anchor and byte of its path, origin (a row of ``origins`` in the header) and digest of
  every file, and a row for the end
- ``paths``: the files' paths

The header also has the CRC-32 of each section, which are checked when the index is opened.

``text.bin`` is needed to widen and confirm what the fingerprints tell. An index without it is the compact form.
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
_FORMAT = 2
_PREFIX = struct.Struct("<4sIII")
_ALIGNMENT = 64
_MADE_WITH = {"tokens": tokens.VERSION, "run": winnowing.RUN}


class Origin(NamedTuple):
    """What many files have in common. ``registry`` is one of those that ``origins.py`` knows addresses of, or empty."""

    package: str
    version: str
    licence: str
    language: str
    registry: str = ""


@dataclass(frozen=True)
class Parameters:
    """What an index is made with. ``window`` is that of winnowing; with ``renamed``, names do not count."""

    window: int = winnowing.WINDOW
    renamed: bool = False


USUAL = Parameters()


@dataclass(frozen=True)
class Contents:
    """The sections, as arrays in memory or memory-mapped, and what the header tells."""

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
    """Write ``index.bin``, whole or not at all.

    Raises:
        OSError: the disk is full.
    """
    sections = {name: np.ascontiguousarray(getattr(contents, name), dtype) for name, dtype in _SECTIONS.items()}
    described = {
        "made_with": _MADE_WITH,
        "parameters": asdict(contents.parameters),
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
        AttributionError: there is none, it is damaged or cut short, or was made with other tokens or parameters.
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
                f"{path} is cut short: it should go on beyond byte {end:,}, but ends at {size:,}. "
                "Copy it or build it again."
            )
        arrays[name] = np.memmap(path, dtype, "r", start, (count,)) if count else np.empty(0, dtype)
        start = end
    if start != size:
        raise AttributionError(f"{path} has {size - start:,} bytes too many at its end. Copy it or build it again.")
    for name, array in arrays.items():
        if zlib.crc32(array.data) != header["checksums"][name]:
            raise AttributionError(
                f"{path} is damaged: its {name} are not what was written. Copy it or build it again."
            )
    origins = [Origin(*origin) for origin in header["origins"]]
    return Contents(**arrays, origins=origins, parameters=Parameters(**header["parameters"]))


def _read_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header, and the byte behind it."""
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or not prefix.startswith(_MAGIC):
        raise AttributionError(f"{path} is not an attribution index. Make one with python -m train.data index.")
    _, version, length, checksum = _PREFIX.unpack(prefix)
    if version != _FORMAT:
        raise AttributionError(
            f"{path} has format {version}, and this program reads format {_FORMAT}. Build it again with "
            "python -m train.data index."
        )
    encoded = file.read(length)
    if len(encoded) < length or zlib.crc32(encoded) != checksum:
        raise AttributionError(f"{path} is damaged: its header is not what was written. Copy it or build it again.")
    header = json.loads(encoded)
    if header["made_with"] != _MADE_WITH:
        raise AttributionError(
            f"{path} was made with {header['made_with']}, and this program asks with {_MADE_WITH}: their fingerprints "
            "cannot be compared. Build it again with python -m train.data index."
        )
    return header, _PREFIX.size + length
