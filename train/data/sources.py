"""Sources of files: folders, checkouts, the standard library, installed and downloaded packages."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path

from train.data.archives import read_archive, wanted
from train.data.licences import permissive_licence
from train.data.packages import Package, downloaded_path
from train.data.source_file import LANGUAGES, MAX_FILE_BYTES, Removed, SourceFile, decode, printable, too_large


@dataclass(frozen=True)
class Source:
    """A set of files that are read together. ``name`` is usable as a file name and changes when the files change."""

    name: str
    read: Callable[[], Iterator[SourceFile | Removed]]


def folder(root: Path) -> list[Source]:
    """A folder of the user. Each of its subfolders is a package, and so is each file next to them; in a git checkout,
    the version is the commit.

    If a folder contains only one subfolder, that one is used instead, so that several files are never all of one
    package.
    """
    return [_files_below(root, "user", root.resolve().name)]


def standard_library() -> list[Source]:
    """The running interpreter's standard library, one package per top-level module."""
    version = ".".join(map(str, sys.version_info[:3]))
    read = partial(_read_standard_library, Path(sysconfig.get_path("stdlib")), version)
    return [Source(source_name("stdlib", version), read)]


def environment() -> Path:
    """The running environment's site-packages folder."""
    return Path(sysconfig.get_path("purelib"))


def installed_packages(site_packages: Path) -> list[Source]:
    """The packages installed in ``site_packages``, one source each."""
    found = sorted(distributions(path=[str(site_packages)]), key=lambda found: found.metadata["Name"].lower())
    return [
        Source(source_name(d.metadata["Name"], d.version, str(site_packages)), partial(_read_installed, d))
        for d in found
    ]


def downloaded_packages(packages: list[Package], downloads: Path) -> list[Source]:
    """The archives of ``packages`` in ``downloads``, one source each."""
    return [
        Source(
            # the licence and the stars become part of its files
            source_name(package.name, package.version, package.sha256, package.licence, str(package.stars)),
            partial(
                read_archive,
                downloaded_path(package, downloads),
                package=package.name,
                version=package.version,
                licence=package.licence,
                stars=package.stars,
            ),
        )
        for package in packages
    ]


def source_name(title: str, *identity: str) -> str:
    """A file name with ``title`` that is unique to ``identity``."""
    digest = hashlib.sha256("\0".join((title, *identity)).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', title).strip('-')}-{digest[:12]}"


def _files_below(root: Path, licence: str, prefix: str) -> Source:
    paths = list(_walk(root))
    state = "\n".join(f"{path} {path.lstat().st_size} {path.lstat().st_mtime_ns}" for path in paths)
    return Source(source_name(prefix, str(root.resolve()), state), partial(_read_folder, root, paths, licence, prefix))


def _read_folder(root: Path, paths: list[Path], licence: str, prefix: str) -> Iterator[SourceFile | Removed]:
    commits: dict[Path, str] = {}
    common = Path(os.path.commonpath([path.parent for path in paths])) if paths else root
    for path in paths:
        first = path.relative_to(common).parts[0]
        base = common / first if (common / first).is_dir() else common
        if base not in commits:
            commits[base] = _commit(base)
        yield _read(path, root, package=f"{prefix}/{first}", version=commits[base], licence=licence)


def _read_standard_library(root: Path, version: str) -> Iterator[SourceFile | Removed]:
    for path in _walk(root):
        module = path.relative_to(root).parts[0].removesuffix(".py")
        yield _read(path, root, package=f"stdlib/{module}", version=version, licence="PSF-2.0")


def _read_installed(distribution: Distribution) -> Iterator[SourceFile | Removed]:
    name, licence = distribution.metadata["Name"], permissive_licence(distribution.metadata)
    if licence is None:
        yield Removed(name, "", "", 0, "package's licence is not clearly permissive")
        return
    root = Path(str(distribution.locate_file("")))
    for entry in sorted(distribution.files or [], key=str):
        # ".." entries are scripts and shared data outside site-packages
        if ".." not in entry.parts and wanted(entry.as_posix()):
            path = Path(str(entry.locate()))
            yield _read(path, root, package=name, version=distribution.version, licence=licence)


def _walk(root: Path) -> Iterator[Path]:
    """Paths of source code below ``root``, sorted, without following links to folders."""
    for folder_name, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder_name, name)
            if path.suffix in LANGUAGES and wanted(path.relative_to(root).as_posix()):
                yield path


def _read(path: Path, root: Path, *, package: str, version: str, licence: str) -> SourceFile | Removed:
    relative, package = printable(path.relative_to(root).as_posix()), printable(package)
    language = LANGUAGES[path.suffix]
    try:
        if path.is_symlink():
            return Removed(package, relative, language, 0, "symbolic link")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until someone writes to it
            return Removed(package, relative, language, 0, "not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            return Removed(package, relative, language, status.st_size, too_large())
        content = path.read_bytes()
    except OSError as error:
        return Removed(package, relative, language, 0, f"cannot be read ({error.strerror})")
    return decode(content, language=language, package=package, version=version, licence=licence, path=relative)


def _commit(folder_path: Path) -> str:
    """The commit checked out in ``folder_path``; empty if it is not a git checkout."""
    command = ["git", "-C", str(folder_path), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
