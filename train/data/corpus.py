"""Sources of training data beyond local folders: archives to unpack and packages to download."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from packaging.utils import canonicalize_name
from packaging.version import Version

from santacoder.errors import UserError
from train.data.archives import BROKEN, escapes, tar_files
from train.data.source_file import LANGUAGES, MAX_FILE_BYTES

MAX_UNPACKED_BYTES = 4_000_000_000
MAX_FILES = 200_000
MAX_PACKAGES = 1000
_UNUSABLE_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EINVAL, errno.EILSEQ)
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")
_NOT_FOR_PIP = {
    *("PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_EDITABLE", "PIP_FIND_LINKS"),
    *("PIP_NO_BINARY", "PIP_ONLY_BINARY", "PIP_TARGET"),
}


def unpack(archive: Path, folder: Path) -> None:
    """Extract the source files of a zip or tar archive into ``folder``, which is emptied; other files are skipped.

    Raises:
        UserError: the file cannot be read, is not an archive, is damaged, has paths that may lead outside, or exceeds
            the limits.
    """
    _require_readable(archive)
    _empty(folder)
    total = 0
    try:
        for number, (name, size, file) in enumerate(_members(archive), start=1):
            total += size
            if total > MAX_UNPACKED_BYTES or number > MAX_FILES:
                raise UserError(
                    f"{archive.name} unpacks to more than {MAX_UNPACKED_BYTES / 1e9:.0f} GB or {MAX_FILES:,} files: "
                    "pack only the source code."
                )
            path = PurePosixPath(name)
            if path.suffix not in LANGUAGES or size > MAX_FILE_BYTES:
                continue
            if escapes(name):
                raise UserError(
                    f"{archive.name} contains the path {_shortened(name)}, which leads outside the archive or has a "
                    "backslash. Pack the source code again, with relative paths and with slashes."
                )
            # regardless of the size that the archive claims
            _write(folder / path, file.read(MAX_FILE_BYTES), archive, name)
    except UserError:
        raise
    except BROKEN as error:
        raise UserError(f"{archive.name} cannot be unpacked: {error}.") from error


def _require_readable(archive: Path) -> None:
    try:
        archive.open("rb").close()
    except FileNotFoundError as error:
        raise UserError(f"The archive {archive} does not exist.") from error
    except OSError as error:  # a folder, for example
        raise UserError(f"The archive {archive} cannot be read: {error.strerror}.") from error


def _empty(folder: Path) -> None:
    """Make ``folder``, without what an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _write(target: Path, content: bytes, archive: Path, name: str) -> None:
    """Write a file of the archive.

    Raises:
        UserError: the name cannot be used: it is too long, or another file is in place of its folder.
        OSError: the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _UNUSABLE_NAME:
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{archive.name} contains the path {_shortened(name)}, which cannot be written ({reason}): the name is too "
            "long or clashes with another. Leave the file out of the archive."
        ) from error


def _shortened(name: str) -> str:
    return repr(name) if len(name) <= 80 else f"{name[:60]!r} … ({len(name):,} characters)"


def download(manifest: Path, folder: Path) -> None:
    """Download the packages of ``manifest``, one ``name==version`` per line, into ``folder``, which is emptied, without
    running any of them.

    Raises:
        UserError: a line is not a pinned package, or a package cannot be downloaded.
    """
    try:
        packages = pinned_packages(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{manifest} cannot be read: {error}.") from error
    _empty(folder)
    # pip gets a rewritten file, not the one that was checked: it decodes files by its own rules, such as a line "#
    # coding: utf-7". It runs in a folder without other files, because it takes a requirement that names a local archive
    # for a path.
    with TemporaryDirectory() as empty:
        (Path(empty) / "requirements.txt").write_text("".join(f"{package}\n" for package in packages), encoding="ascii")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        # wheels only: they are read as text, whereas building a source distribution would run code
        command += ["--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(folder.resolve())]
        command += ["--requirement", "requirements.txt"]
        result = subprocess.run(command, cwd=empty, env=_pip_environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(
            f"The packages of {manifest.name} cannot be downloaded: {' '.join(errors) or result.stderr.strip()}"
        )


def pinned_packages(text: str) -> list[str]:
    """Parse a list of packages, one ``name==version`` per line, and write each in canonical form.

    Raises:
        UserError: a line is not a pinned package, or there are too many packages.
    """
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    packages = [_pinned_package(line) for line in lines if line]
    if len(packages) > MAX_PACKAGES:
        raise UserError(
            f"The list has {len(packages):,} packages; at most {MAX_PACKAGES:,} can be downloaded for a run."
        )
    return packages


def _pinned_package(line: str) -> str:
    try:
        if not _REQUIREMENT.fullmatch(line):
            raise ValueError
        name, _, version = line.partition("==")
        return f"{canonicalize_name(name, validate=True)}=={Version(version)}"
    except ValueError as error:  # the errors of packaging are subclasses of it
        raise UserError(f"{line[:80]!r} is not a pinned package: write one name==version per line.") from error


def _pip_environment() -> dict[str, str]:
    """The environment without variables that would add requirements or package locations other than an index."""
    return {name: value for name, value in os.environ.items() if name.upper() not in _NOT_FOR_PIP}


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield the regular files of an archive with their claimed sizes; each file is open until the next is requested."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as pack:
            for entry in pack.infolist():
                if not entry.is_dir():
                    with pack.open(entry) as file:
                        yield entry.filename, entry.file_size, file
        return
    yield from ((info.name, info.size, file) for info, file in tar_files(archive))
