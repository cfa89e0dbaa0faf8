"""Files read from folders, installed packages and the standard library."""

from __future__ import annotations

import os
import stat
import subprocess
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from train.data import sources
from train.data.licences import has_copyleft_header, permissive_licence
from train.data.packages import Package
from train.data.source_file import Removed, SourceFile, read_shard, write_shard


def read(found: list[sources.Source]) -> tuple[list[SourceFile], dict[str, str]]:
    """The files of some sources, and the reason for each removed file by path."""
    items = [item for source in found for item in source.read()]
    files = [item for item in items if isinstance(item, SourceFile)]
    return files, {item.path: item.reason for item in items if isinstance(item, Removed)}


def put(path: Path, text: str | bytes = "x = 1\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    put(tmp_path / "a.py")
    os.mkfifo(tmp_path / "pipe.py")
    with suppress(PermissionError):  # for root alone
        os.mknod(tmp_path / "device.py", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    files, refused = read(sources.folder(tmp_path))
    assert [file.path for file in files] == ["a.py"]
    assert refused.pop("pipe.py") == "not a regular file" and refused in ({}, {"device.py": "not a regular file"})


def test_a_folder_gives_its_code_with_a_package_for_each_sub_folder(tmp_path: Path) -> None:
    for name in ("one/a.py", "one/deep/b.java", "two/c.js", "d.py", "two/e.txt", "two/f.min.css"):
        put(tmp_path / name)
    for name in ("one/node_modules/x.js", ".git/y.py", "two/__pycache__/z.py", "dist/w.js", "one/.hidden.py"):
        put(tmp_path / name)
    put(tmp_path / "one" / "latin.py", "é = 1\n".encode("latin-1"))
    put(tmp_path / "one" / "huge.py", "x = 1\n" * 200_000)
    files, refused = read(sources.folder(tmp_path))
    found = {(file.package.removeprefix(f"{tmp_path.name}/"), file.path, file.language) for file in files}
    assert refused == {"one/latin.py": "not UTF-8", "one/huge.py": "larger than 1 MB"}
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
    assert permissive_licence(distribution(tmp_path, "pkg", metadata).metadata) == licence


def test_installed_packages_come_with_version_and_licence(tmp_path: Path) -> None:
    distribution(tmp_path, "good", "License-Expression: MIT")
    distribution(tmp_path, "bad", "License-Expression: GPL-2.0")
    (file,), refused = read(sources.installed_packages(tmp_path))
    assert refused == {"": "package's licence is not clearly permissive"}
    assert (file.package, file.version, file.licence, file.path) == ("good", "1.0", "MIT", "good/code.py")
    assert file.text == "good = 1\n"


def test_the_standard_library_is_found_without_what_is_installed() -> None:
    files = {file.path: file for file in read(sources.standard_library())[0]}
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


def test_odd_files_are_named_and_links_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "pkg" / "good.py")
    put(tmp_path / "pkg" / "marked.py", b"\xef\xbb\xbfx = 1\n")
    put(tmp_path / "pkg" / "binary.py", b"x = 1\0\n")
    (tmp_path / "pkg" / "link.py").symlink_to(tmp_path / "pkg" / "good.py")
    (tmp_path / "pkg" / "itself.py").symlink_to("itself.py")
    (tmp_path / "pkg" / "loop").symlink_to(tmp_path)
    with (tmp_path / "pkg" / "sparse.py").open("wb") as file:
        file.truncate(2 * 2**30)
    files, refused = read(sources.folder(tmp_path))
    assert {file.path: file.text for file in files} == {"pkg/good.py": "x = 1\n", "pkg/marked.py": "x = 1\n"}
    assert refused == {
        "pkg/binary.py": "binary",
        "pkg/link.py": "symbolic link",
        "pkg/itself.py": "symbolic link",
        "pkg/sparse.py": "larger than 1 MB",
    }


def test_lines_end_with_lf(tmp_path: Path) -> None:
    put(tmp_path / "pkg" / "windows.py", b"x = 1\r\ny = 2\r\n")
    put(tmp_path / "pkg" / "old.js", b"let x\rlet y\r\rlet z\r\n")
    files, _ = read(sources.folder(tmp_path))
    assert {file.path: file.text for file in files} == {
        "pkg/windows.py": "x = 1\ny = 2\n",
        "pkg/old.js": "let x\nlet y\n\nlet z\n",
    }


def test_a_name_that_is_no_utf8_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"na\xefve")).mkdir()
    for name in (b"na\xefve/gar\xe7on.py", b"na\xefve/ol\xe9.py"):
        put(tmp_path / os.fsdecode(name))
    put(tmp_path / os.fsdecode(b"na\xefve/bin\xe1r.py"), b"\0")
    files, refused = read(sources.folder(tmp_path))
    write_shard(tmp_path / "shard.parquet", files)
    assert [file.path for file in read_shard(tmp_path / "shard.parquet")] == [
        "na\ufffdve/gar\ufffdon.py",
        "na\ufffdve/ol\ufffd.py",
    ]
    assert refused == {"na\ufffdve/bin\ufffdr.py": "binary"}


def test_a_checkout_has_its_commit_as_version(tmp_path: Path) -> None:
    put(tmp_path / "repo" / "a.py")
    put(tmp_path / "plain" / "b.py")
    git = ["git", "-C", str(tmp_path / "repo"), "-c", "user.name=n", "-c", "user.email=n@example.com"]
    for command in (["init", "-q"], ["add", "a.py"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    files, _ = read(sources.folder(tmp_path))
    assert {file.path: file.version for file in files} == {"repo/a.py": commit, "plain/b.py": ""}


def test_a_source_has_another_name_when_its_files_change(tmp_path: Path) -> None:
    put(tmp_path / "a.py")
    (before,) = sources.folder(tmp_path)
    (same,) = sources.folder(tmp_path)
    put(tmp_path / "a.py", "x = 22\n")
    (after,) = sources.folder(tmp_path)
    assert before.name == same.name != after.name


def test_a_package_whose_entry_is_corrected_is_another_source(tmp_path: Path) -> None:
    entry = Package("pypi", "one", "1.0", "MIT", 5, "one-1.0.tar.gz", "0" * 64)
    changed = [replace(entry, **change) for change in ({"licence": "BSD-3-Clause"}, {"stars": 6}, {"version": "1.1"})]
    names = {source.name for source in sources.downloaded_packages([entry, *changed], tmp_path)}
    assert len(names) == 4
