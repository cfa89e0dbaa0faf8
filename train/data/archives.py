"""Source files out of package archives: wheels and other zip files, npm and Debian tarballs, source distributions.

Nothing is unpacked to disk and nothing is run: members are read one by one, never more of one than a file may have.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from train.data.source_file import LANGUAGES, MAX_FILE_BYTES, Removed, SourceFile, decode, printable, too_large

# of names and attributes; a path has 4,096 bytes at most
_MAX_HEADER_BYTES = 1 << 16
_MAX_GLOBAL_HEADERS = 100
_LONG_HEADERS = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}
# made by programs or shipped by others: never what the package's authors wrote
SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "node_modules", "site-packages", "dist", "build", "_vendor", "vendor", "umd", "bundles"}
)


def read_archive(
    archive: Path, *, package: str, version: str, licence: str, stars: int
) -> Iterator[SourceFile | Removed]:
    """The source files in ``archive``; members that cannot be used, and a broken rest, come as :class:`Removed`."""
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    try:
        for path, size, content in members(archive):
            language = LANGUAGES[PurePosixPath(path).suffix]
            if escapes(path):
                yield Removed(package, path, language, size, "path leads out of the archive")
            elif size > MAX_FILE_BYTES:
                yield Removed(package, path, language, size, too_large())
            else:
                yield decode(
                    content,
                    language=language,
                    package=package,
                    version=version,
                    licence=licence,
                    path=path,
                    stars=stars,
                )
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, OSError, EOFError) as error:
        yield Removed(package, archive.name, "", archive.stat().st_size, f"broken archive ({error})")


def wanted(path: str) -> bool:
    """Whether a path names source code that its package's authors wrote."""
    pure = PurePosixPath(path)
    return (
        pure.suffix in LANGUAGES
        and not pure.name.endswith((".min.js", ".bundle.js"))
        and not SKIPPED_FOLDERS.intersection(pure.parts[:-1])
        and not any(part.startswith(".") and part.strip(".") for part in pure.parts)
    )


def escapes(path: str) -> bool:
    """Whether a member's path would be written outside the folder it is unpacked to."""
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts or "\\" in path


def _zip_members(archive: Path) -> Iterator[tuple[str, int, bytes]]:
    """Path, size and content of the wanted files; no content where it is too large."""
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if not info.is_dir() and wanted(info.filename):
                # the stated size may be a lie, so no more is read than is allowed
                with opened.open(info) as member:
                    content = member.read(MAX_FILE_BYTES + 1)
                yield info.filename, max(info.file_size, len(content)), content


def _tar_members(archive: Path) -> Iterator[tuple[str, int, bytes]]:
    for info, file in tar_files(archive):
        if wanted(info.name):
            yield printable(info.name), info.size, file.read() if info.size <= MAX_FILE_BYTES else b""


def tar_files(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """The regular files of a tar archive, in its order, each open until the next is asked for.

    It is read as a stream, so that the size of a member is known before it is unpacked, and nothing is kept of members
    that have gone by.

    Raises:
        tarfile.TarError: it is damaged, or one of its headers is larger than any header has to be.
    """
    with tarfile.open(archive, "r|*", tarinfo=_Header) as opened:
        for info in opened:
            if info.isfile() and (file := opened.extractfile(info)):
                yield info, file
            opened.members.clear()  # type: ignore[attr-defined]


class _Header(tarfile.TarInfo):
    """A header that the library may read whole, as it does whatever length is claimed.

    Sparse files are refused: their maps may be as long as the archive unpacks to, and source code is none.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Where the library lets kinds of members be told apart."""
        if self.type in _LONG_HEADERS and self.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a sparse file")
        if len(archive.pax_headers) > _MAX_GLOBAL_HEADERS:
            raise tarfile.ReadError(f"more than {_MAX_GLOBAL_HEADERS} global headers")
        return super()._proc_member(archive)  # type: ignore[misc]

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise tarfile.ReadError("a sparse file")
