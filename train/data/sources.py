"""Where source files come from: the standard library, installed packages, folders."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from train.data.licences import permissive_licence

LANGUAGES = {".py": "python", ".java": "java", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript"}
# made by programs or shipped by others: never what the package's authors wrote
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist", "build", "_vendor", "vendor"})
MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class SourceFile:
    """One file and its provenance. ``path`` is relative to the root of ``package``."""

    package: str
    version: str
    licence: str
    path: str
    language: str
    text: str


def standard_library() -> Iterator[SourceFile]:
    """The running interpreter's standard library, one package per top-level module."""
    root = Path(sysconfig.get_path("stdlib"))
    version = ".".join(map(str, sys.version_info[:3]))
    for path in _code_files(root):
        module = path.relative_to(root).parts[0].removesuffix(".py")
        yield from _read(path, root, f"stdlib/{module}", version, "PSF-2.0")


def environment() -> Path:
    """The running environment's site-packages folder."""
    return Path(sysconfig.get_path("purelib"))


def installed_packages(site_packages: Path) -> Iterator[SourceFile]:
    """The permissively licensed packages installed in ``site_packages``."""
    found = distributions(path=[str(site_packages)])
    for distribution in sorted(found, key=lambda distribution: distribution.metadata["Name"].lower()):
        licence = permissive_licence(distribution)
        if licence is not None:
            yield from _package_files(distribution, licence)


def folder(root: Path) -> Iterator[SourceFile]:
    """A folder the user names. Each of its sub-folders is a package, and so is each file beside them.

    A folder with nothing but one sub-folder counts as that one, so that two files are never all of one package.
    """
    paths = list(_code_files(root))
    common = os.path.commonpath([path.parent for path in paths]) if paths else root
    for path in paths:
        first = path.relative_to(common).parts[0]
        yield from _read(path, root, f"{root.resolve().name}/{first}", "", "user")


def _package_files(distribution: Distribution, licence: str) -> Iterator[SourceFile]:
    name, version = distribution.metadata["Name"], distribution.version
    root = Path(str(distribution.locate_file("")))
    for entry in sorted(distribution.files or [], key=str):
        # ".." entries are scripts and shared data outside site-packages
        if entry.suffix in LANGUAGES and ".." not in entry.parts and not SKIPPED_FOLDERS.intersection(entry.parts):
            yield from _read(Path(str(entry.locate())), root, name, version, licence)


def _code_files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.suffix in LANGUAGES and not hidden and not SKIPPED_FOLDERS.intersection(parts) and path.is_file():
            yield path


def _read(path: Path, root: Path, package: str, version: str, licence: str) -> Iterator[SourceFile]:
    """The file, or nothing where it is too large, unreadable or not UTF-8."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    yield SourceFile(package, version, licence, str(path.relative_to(root)), LANGUAGES[path.suffix], text)
