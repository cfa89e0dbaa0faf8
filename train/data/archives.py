"""Reading of source files in package archives: wheels and other zip files, npm and Debian tarballs, source
distributions.

Nothing is extracted to disk and nothing is run: members are read one by one, up to the maximum file size.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from santacoder.paths import SKIPPED_FOLDERS
from train.data.source_file import LANGUAGES, MAX_FILE_BYTES, Removed, SourceFile, decode, printable, too_large

# the errors of a damaged archive; ValueError is that of a name or a number in it
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, ValueError)
# maximum size of names and attributes; a path has at most 4,096 bytes
_MAX_HEADER_BYTES = 1 << 16
_MAX_GLOBAL_HEADERS = 100
_LONG_HEADERS = {
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
}


def read_archive(
    archive: Path, *, package: str, version: str, licence: str, stars: int
) -> Iterator[SourceFile | Removed]:
    """Yield the source files in ``archive``; unusable members and the damaged rest of an archive are
    :class:`Removed`.
    """
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
    except (*BROKEN, OSError) as error:
        yield Removed(package, archive.name, "", archive.stat().st_size, f"broken archive ({error})")


def wanted(path: str) -> bool:
    """Whether ``path`` looks like source code written by the package's authors."""
    pure = PurePosixPath(path)
    return (
        pure.suffix in LANGUAGES
        and not pure.name.endswith((".min.js", ".bundle.js"))
        and not SKIPPED_FOLDERS.intersection(pure.parts[:-1])
        and not any(part.startswith(".") and part.strip(".") for part in pure.parts)
    )


def escapes(path: str) -> bool:
    """Whether a member's path leads outside the folder it would be extracted to, on this system or another: a backslash
    separates folders on Windows.
    """
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts or "\\" in path


def _zip_members(archive: Path) -> Iterator[tuple[str, int, bytes]]:
    """Path, size and content of the wanted files; the content of a file that is too large is truncated."""
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if not info.is_dir() and wanted(info.filename):
                # the stated size may be wrong, so at most the allowed size is read
                with opened.open(info) as member:
                    content = member.read(MAX_FILE_BYTES + 1)
                yield info.filename, max(info.file_size, len(content)), content


def _tar_members(archive: Path) -> Iterator[tuple[str, int, bytes]]:
    for info, file in tar_files(archive):
        if wanted(info.name):
            yield printable(info.name), info.size, file.read() if info.size <= MAX_FILE_BYTES else b""


def tar_files(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield the regular files of a tar archive in order; each is open until the next is requested.

    The archive is read as a stream, so the size of a member is known before it is extracted, and finished members are
    freed.

    Raises:
        tarfile.TarError: the archive is damaged, or a header is larger than the limit.
    """
    with tarfile.open(archive, "r|*", tarinfo=_Header) as opened:
        for info in opened:
            if info.isfile() and (file := opened.extractfile(info)):
                yield info, file
            opened.members.clear()  # type: ignore[attr-defined]


class _Header(tarfile.TarInfo):
    """A tar header whose size is checked, because the library reads headers whole, whatever length they claim.

    Sparse files are rejected: their maps can be as long as the extracted archive, and source code is never sparse.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """The library's hook for member types."""
        if self.type in _LONG_HEADERS and self.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a sparse file")
        if len(archive.pax_headers) > _MAX_GLOBAL_HEADERS:
            raise tarfile.ReadError(f"more than {_MAX_GLOBAL_HEADERS} global headers")
        return super()._proc_member(archive)  # type: ignore[misc]

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise tarfile.ReadError("a sparse file")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10  # the older formats of maps
