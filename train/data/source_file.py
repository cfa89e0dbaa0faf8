"""A source file with its provenance, a removed file, and their storage in Parquet shards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from santacoder.atomic import replacing

if TYPE_CHECKING:  # the server reads this module, too, and needs no Parquet
    import pyarrow as pa

LANGUAGES = {".py": "python", ".java": "java", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript"}
MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class SourceFile:
    """A file and its provenance. ``path`` is relative to the root of ``package``; ``stars`` are GitHub stars or a
    substitute.
    """

    package: str
    version: str
    licence: str
    path: str
    language: str
    text: str
    stars: int = 0

    @property
    def name(self) -> str:
        """The name of the file among those of all packages."""
        return f"{self.package}: {self.path}"

    @property
    def id(self) -> int:
        """A 63-bit hash of provenance and text, the same on every machine."""
        return _hash63("\0".join((self.package, self.version, self.path, self.text)))

    @property
    def digest(self) -> int:
        """A 63-bit hash of the text alone: equal for exact duplicates."""
        return _hash63(self.text)


@dataclass(frozen=True)
class Removed:
    """A file that is not used, and why."""

    package: str
    path: str
    language: str
    bytes: int
    reason: str


def language_of(path: str) -> str | None:
    """The language by a file's extension; None for other extensions, and for names that are only an extension."""
    return LANGUAGES.get(PurePath(path).suffix)


def decode(
    content: bytes, *, language: str, package: str, version: str, licence: str, path: str, stars: int = 0
) -> SourceFile | Removed:
    """Decode ``content``, or return why it cannot be used: too large, binary, or not UTF-8. Line endings become LF.

    Args:
        content: the bytes of the file.
        language: one of the values of ``LANGUAGES``.
        package: name of the package or repository.
        version: version or commit of the package.
        licence: SPDX expression or name of the licence; ``user`` for files of the user.
        path: path relative to the root of the package.
        stars: GitHub stars of the package or a substitute.
    """
    if len(content) > MAX_FILE_BYTES:
        return Removed(package, path, language, len(content), too_large())
    if b"\0" in content:
        return Removed(package, path, language, len(content), "binary")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Removed(package, path, language, len(content), "not UTF-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return SourceFile(package, version, licence, path, language, text, stars)


def printable(name: str) -> str:
    """Replace bytes that are not UTF-8, which Python represents as lone surrogates, with U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def too_large() -> str:
    return f"larger than {MAX_FILE_BYTES / 1e6:.0f} MB"


def removed(file: SourceFile, reason: str) -> Removed:
    return Removed(file.package, file.path, file.language, len(file.text.encode("utf-8")), reason)


def write_shard(path: Path, files: Sequence[SourceFile]) -> None:
    """Write ``files`` as one Parquet file, atomically.

    Raises:
        OSError: the disk is full.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {field.name: [getattr(file, field.name) for file in files] for field in fields(SourceFile)}
    with replacing(path) as out:
        pq.write_table(pa.table(columns, schema=_schema()), out, compression="zstd")


def read_shard(path: Path) -> list[SourceFile]:
    import pyarrow.parquet as pq

    return [SourceFile(**row) for row in pq.read_table(path, schema=_schema()).to_pylist()]


def _schema() -> pa.Schema:
    import pyarrow as pa

    names = ("package", "version", "licence", "path", "language")
    strings = [(name, pa.string()) for name in names]
    return pa.schema([*strings, ("text", pa.large_string()), ("stars", pa.int64())])


def _hash63(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little") >> 1
