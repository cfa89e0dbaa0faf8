"""Links to sources, and obligations of licences."""

from __future__ import annotations

from pathlib import Path

import pytest

from santacoder.attribution import Source
from santacoder.attribution.origins import link, what_it_asks
from tests.conftest import REPOSITORY
from train.data.packages import read_manifest


@pytest.mark.parametrize(
    ("registry", "package", "version", "path", "expected"),
    [
        (
            "cpython",
            "stdlib/json",
            "3.11.7",
            "json/a.py",
            "https://github.com/python/cpython/blob/v3.11.7/Lib/json/a.py#L3-L9",
        ),
        ("pypi", "Flask", "3.1.3", "flask/a.py", "https://pypi.org/project/Flask/3.1.3/"),
        ("npm", "@babel/parser", "8.1.2", "a.js", "https://www.npmjs.com/package/@babel/parser/v/8.1.2?activeTab=code"),
        ("debian", "guava-libraries", "31.1", "A.java", "https://sources.debian.org/src/guava-libraries/"),
        ("", "owner/name", "0" * 40, "a b.py", f"https://github.com/owner/name/blob/{'0' * 40}/a%20b.py#L3-L9"),
        ("", "my folder", "", "a.py", None),
    ],
)
def test_links(registry: str, package: str, version: str, path: str, expected: str | None) -> None:
    assert link(Source(package, version, "MIT", "python", registry, path, (3, 9), False, 0)) == expected


def test_every_licence_of_the_package_corpus_is_known() -> None:
    manifest = read_manifest(Path(REPOSITORY / "train/data/packages.yaml"))
    unknown = {package.licence for package in manifest if what_it_asks(package.licence).startswith("Read the licence")}
    assert not unknown


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("MIT", "copyright notice"),
        ("BSD-3-Clause", "advertise"),
        ("Apache-2.0", "NOTICE"),
        ("GPL-3.0-only", "whole program"),
        ("LGPL-2.1", "your changes"),
        ("AGPL-3.0", "server"),
        ("0BSD", "no conditions"),
        ("PSF-2.0", "Summarise"),
        ("user", "Read the licence"),
    ],
)
def test_what_licences_ask(licence: str, words: str) -> None:
    assert words in what_it_asks(licence)
