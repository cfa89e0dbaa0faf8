"""What a run is trained on beyond folders that are there: an archive to unpack, packages to download."""

from __future__ import annotations

import lzma
import re
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from train.data.source_file import LANGUAGES, MAX_FILE_BYTES

MAX_UNPACKED_BYTES = 4_000_000_000
MAX_FILES = 200_000
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")


def unpack(archive: Path, folder: Path) -> None:
    """Write the source files of a zip or tar archive into ``folder``; nothing else of it is written.

    Raises:
        ValueError: it is no archive, is damaged, has paths that lead elsewhere, or unpacks to more than the limits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    try:
        for number, (name, size, file) in enumerate(_members(archive), start=1):
            total += size
            if total > MAX_UNPACKED_BYTES or number > MAX_FILES:
                raise ValueError(
                    f"{archive.name} unpacks to more than {MAX_UNPACKED_BYTES / 1e9:.0f} GB or {MAX_FILES:,} files: "
                    "pack only the source code."
                )
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{archive.name} has the path {name!r}, which leads out of it.")
            if path.suffix not in LANGUAGES or size > MAX_FILE_BYTES:
                continue
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read(MAX_FILE_BYTES))  # whatever size the archive claims
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise ValueError(f"{archive.name} cannot be unpacked: {error}.") from error
    except FileNotFoundError as error:
        raise ValueError(f"There is no archive {archive}.") from error


def download(manifest: Path, folder: Path) -> None:
    """Download the packages of ``manifest``, one ``name==version`` a line, into ``folder``; none of them is run.

    Raises:
        ValueError: a line is no pinned package, or one cannot be had.
    """
    try:
        lines = [line.split("#")[0].strip() for line in manifest.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{manifest} cannot be read: {error}.") from error
    for line in filter(None, lines):
        if not _REQUIREMENT.fullmatch(line):
            raise ValueError(f"{line!r} is no pinned package: write one name==version a line.")
    # wheels only: they are read as text, where a source distribution would run code to be built
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--target", str(folder), "--requirement", str(manifest)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise ValueError(f"The packages of {manifest.name} cannot be had: {' '.join(errors) or result.stderr.strip()}")


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Regular files of an archive with the sizes it claims, in its order, each open until the next is asked for."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as pack:
            for entry in pack.infolist():
                if not entry.is_dir():
                    with pack.open(entry) as file:
                        yield entry.filename, entry.file_size, file
        return
    with tarfile.open(archive, "r|*") as pack:  # as a stream: the size of a member is known before it is unpacked
        for member in pack:
            content = pack.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, member.size, content
