"""What an index holds: the sections as arrays, and the contents of the header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from santacoder.attribution import winnowing

ANCHOR_TOKENS = 128
ANCHOR = np.dtype([("byte", "<u4"), ("line", "<u4")])
FILE = np.dtype(
    [("token", "<u4"), ("byte", "<u4"), ("anchor", "<u4"), ("path", "<u4"), ("origin", "<u4"), ("digest", "<u8")]
)
_NUMBER = np.dtype("<u4")
SECTIONS: dict[str, np.dtype] = {
    "buckets": _NUMBER,
    "hashes": _NUMBER,
    "places": _NUMBER,
    "anchors": ANCHOR,
    "files": FILE,
    "paths": np.dtype("u1"),
}


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
