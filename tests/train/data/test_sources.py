"""What is read from folders, installed packages and the standard library."""

from __future__ import annotations

from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from train.data import sources
from train.data.licences import has_copyleft_header, permissive_licence


def put(path: Path, text: str | bytes = "x = 1\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_a_folder_gives_its_code_with_a_package_for_each_sub_folder(tmp_path: Path) -> None:
    for name in ("one/a.py", "one/deep/b.java", "two/c.js", "d.py", "two/e.txt", "two/f.min.css"):
        put(tmp_path / name)
    for name in ("one/node_modules/x.js", ".git/y.py", "two/__pycache__/z.py", "dist/w.js", "one/.hidden.py"):
        put(tmp_path / name)
    put(tmp_path / "one" / "latin.py", "é = 1\n".encode("latin-1"))
    put(tmp_path / "one" / "huge.py", "x = 1\n" * 200_000)
    found = {
        (file.package.removeprefix(f"{tmp_path.name}/"), file.path, file.language) for file in sources.folder(tmp_path)
    }
    assert found == {
        ("one", "one/a.py", "python"),
        ("one", "one/deep/b.java", "java"),
        ("two", "two/c.js", "javascript"),
        ("d.py", "d.py", "python"),
    }


def distribution(root: Path, name: str, metadata: str) -> PathDistribution:
    """An installed package of two files, one of them vendored."""
    info = root / f"{name}-1.0.dist-info"
    put(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}\n")
    put(root / name / "code.py", f"{name} = 1\n")
    put(root / name / "_vendor" / "other.py")
    put(info / "RECORD", f"{name}/code.py,,\n{name}/_vendor/other.py,,\n../../bin/{name}.py,,\n")
    return PathDistribution(info)


@pytest.mark.parametrize(
    "metadata,licence",
    [
        ("License-Expression: MIT", "MIT"),
        ("License-Expression: Apache-2.0 OR BSD-3-Clause", "Apache-2.0 OR BSD-3-Clause"),
        ("Classifier: License :: OSI Approved :: BSD License", "BSD License"),
        ("License: Apache 2.0", "Apache 2.0"),
        ("License: BSD 3-Clause License\n        Copyright (c) 2020", "BSD 3-Clause License"),
        ("License-Expression: GPL-3.0-only", None),
        ("License-Expression: MIT AND MPL-2.0", None),
        ("Classifier: License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", None),
        ("License: AGPLv3", None),
        ("License: Proprietary", None),
        ("License: see LICENSE", None),
        ("", None),
    ],
)
def test_only_clearly_permissive_packages_count(tmp_path: Path, metadata: str, licence: str | None) -> None:
    assert permissive_licence(distribution(tmp_path, "pkg", metadata)) == licence


def test_installed_packages_come_with_version_and_licence(tmp_path: Path) -> None:
    distribution(tmp_path, "good", "License-Expression: MIT")
    distribution(tmp_path, "bad", "License-Expression: GPL-2.0")
    (file,) = sources.installed_packages(tmp_path)
    assert (file.package, file.version, file.licence, file.path) == ("good", "1.0", "MIT", "good/code.py")
    assert file.text == "good = 1\n"


def test_the_standard_library_is_found_without_what_is_installed() -> None:
    files = {file.path: file for file in sources.standard_library()}
    assert files["json/decoder.py"].package == "stdlib/json"
    assert files["json/decoder.py"].licence == "PSF-2.0"
    assert not any("site-packages" in path for path in files)


@pytest.mark.parametrize(
    "text,copyleft",
    [
        ("# This is licensed under the GNU General Public License v3\n", True),
        ("# GNU Lesser General Public License\n", True),
        ("/* SPDX-License-Identifier: MPL-2.0 */\n", True),
        ("# subject to the terms of the Mozilla Public License\n", True),
        ("# SPDX-License-Identifier: MIT\n", False),
        ("x = 'gpl'\n", False),
    ],
)
def test_copyleft_headers_are_seen(text: str, copyleft: bool) -> None:
    assert has_copyleft_header(text) == copyleft
