"""A manifest of packages with pinned versions, and their download from the configured registries.

No registry is named here: addresses come from the configuration of pip, npm and apt.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

import yaml
from tqdm import tqdm

from santacoder import digests
from santacoder.errors import UserError
from train.data.source_file import Removed

DEFAULT_MANIFEST = Path(__file__).with_name("packages.yaml")
_TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class Package:
    """An entry of the manifest; ``packages.yaml`` explains the fields."""

    registry: Literal["pypi", "npm", "debian"]
    name: str
    version: str
    licence: str
    stars: int
    file: str
    sha256: str


def read_manifest(path: Path) -> list[Package]:
    """Read the packages that a manifest lists.

    Raises:
        UserError: the file is not a valid manifest; the message names the entry.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} is not a readable manifest of packages: {error}.") from error
    if not isinstance(entries, list):
        raise UserError(f"{path} is not a manifest of packages: it must be a list.")
    expected = {field.name for field in fields(Package)}
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or entry.keys() != expected:
            raise UserError(f"Entry {number} of {path} must have exactly the fields {', '.join(sorted(expected))}.")
        if entry["registry"] not in _ADDRESSES:
            raise UserError(
                f"Entry {number} of {path} names the registry {entry['registry']}; it must be pypi, npm or debian."
            )
    return [Package(**entry) for entry in entries]


def download(packages: list[Package], downloads: Path) -> tuple[list[Package], list[Removed]]:
    """Download missing packages, eight at a time. Returns the packages that are present, and those that are missing.

    Interrupted downloads are resumed. Files that differ from the pinned SHA-256 are deleted.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda package: _problem(package, downloads), packages)
        problems = list(tqdm(results, total=len(packages), desc="downloading", unit=" packages"))
    present = [package for package, problem in zip(packages, problems, strict=True) if problem is None]
    missing = [
        Removed(package.name, package.file, "", 0, f"missing package ({problem})")
        for package, problem in zip(packages, problems, strict=True)
        if problem is not None
    ]
    return present, missing


def downloaded_path(package: Package, downloads: Path) -> Path:
    return downloads / Path(package.file).name


def _problem(package: Package, downloads: Path) -> str | None:
    """Download a package. Returns None, or the reason why it failed."""
    target = downloaded_path(package, downloads)
    if target.exists() and digests.sha256(target).hex() == package.sha256:
        return None
    problem: str | None = "no address is known"
    try:
        for url in _ADDRESSES[package.registry](package):
            problem = _fetch(url, target, package.sha256)
            if problem is None:
                return None
    except (OSError, HTTPException, ValueError, subprocess.SubprocessError) as error:
        return str(error)
    return problem


def _fetch(url: str, target: Path, sha256: str) -> str | None:
    partial = target.with_name(target.name + ".partial")
    # an earlier run may have been killed when the download was complete, and nothing would be left to request
    if not partial.exists() or digests.sha256(partial).hex() != sha256:
        try:
            _transfer(url, partial)
        # urllib's errors and broken connections; the partial file is kept for the next attempt
        except (OSError, HTTPException) as error:
            return str(error)
        found = digests.sha256(partial).hex()
        if found != sha256:
            partial.unlink()
            return f"its SHA-256 is {found}, which differs from the pinned one"
    partial.replace(target)
    return None


def _transfer(url: str, partial: Path) -> None:
    """Append the missing bytes to ``partial``.

    Raises:
        OSError, HTTPException: the file does not exist, or the connection broke.
    """
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT) as response,
        # a server without support for ranges sends the whole file with status 200
        partial.open("ab" if response.status == 206 else "wb") as file,
    ):
        shutil.copyfileobj(response, file, 1 << 20)
        if response.length:  # http.client does not raise when a connection ends early
            raise OSError(f"the connection broke with {response.length:,} bytes left")


def _pypi(package: Package) -> Iterator[str]:
    """Addresses from the simple API of the package index (PEP 691)."""
    project = re.sub(r"[-_.]+", "-", package.name).lower()
    page = f"{_python_index().rstrip('/')}/{project}/"
    request = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        for file in json.load(response)["files"]:
            if file["filename"] == package.file:
                yield urljoin(page, file["url"])


def _npm(package: Package) -> Iterator[str]:
    yield _output("npm", "view", f"{package.name}@{package.version}", "dist.tarball")


def _debian(package: Package) -> Iterator[str]:
    for archive in _debian_archives():
        yield urljoin(archive, package.file)


@lru_cache
def _python_index() -> str:
    """The index that pip uses: the configured one, or the default from its help."""
    pip = (sys.executable, "-m", "pip")
    configured = re.search(r"^(?:global|:env:)\.index-url='(.+)'$", _output(*pip, "config", "list"), re.MULTILINE)
    default = re.search(r"--index-url.*?\(default\s+(\S+?)\)", _output(*pip, "download", "--help"), re.DOTALL)
    found = configured or default
    if found is None:
        raise UserError("cannot determine the package index from pip's configuration")
    return found[1]


@lru_cache
def _debian_archives() -> list[str]:
    """The package archives that apt is configured with."""
    return sorted(set(_output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()))


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.strip()
    except FileNotFoundError as error:
        raise UserError(f"{command[0]} is not installed") from error


_ADDRESSES = {"pypi": _pypi, "npm": _npm, "debian": _debian}
