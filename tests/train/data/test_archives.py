"""What is read from package archives, and that nothing odd in one leaves it or stops the run."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from train.data.archives import read_archive
from train.data.source_file import MAX_FILE_BYTES, Removed, SourceFile

FILES = {
    "package/good.js": b"let x = 1;\n",
    "package/deep/also.py": b"x = 1\n",
    "package/../../escape.py": b"x = 1\n",
    "package/readme.txt": b"no code",
    "package/node_modules/other.js": b"let y;\n",
    "package/x.min.js": b"let y;\n",
    "package/binary.py": b"\0",
    "package/large.java": b"x" * (MAX_FILE_BYTES + 1),
}


def read(archive: Path) -> tuple[dict[str, str], dict[str, str]]:
    items = list(read_archive(archive, package="p", version="1", licence="MIT", stars=7))
    files = [item for item in items if isinstance(item, SourceFile)]
    assert all((file.package, file.version, file.licence, file.stars) == ("p", "1", "MIT", 7) for file in files)
    removed = {item.path: item.reason for item in items if isinstance(item, Removed)}
    return {file.path: file.language for file in files}, removed


def tarball(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("package/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return path


def test_tarballs_and_zip_files_give_the_same(tmp_path: Path) -> None:
    kept, removed = read(tarball(tmp_path / "a.tgz"))
    assert kept == {"package/good.js": "javascript", "package/deep/also.py": "python"}
    assert removed == {
        "package/../../escape.py": "path leads out of the archive",
        "package/binary.py": "binary",
        "package/large.java": "larger than 1 MB",
    }
    assert read(wheel(tmp_path / "a.whl")) == (kept, removed)
    assert sorted(path.name for path in tmp_path.parent.rglob("escape.py")) == []


def test_broken_archives_are_named(tmp_path: Path) -> None:
    whole = tarball(tmp_path / "whole.tgz").read_bytes()
    for name, content in {"cut.tgz": whole[: len(whole) // 2], "text.tgz": b"no archive", "empty.whl": b""}.items():
        (tmp_path / name).write_bytes(content)
        assert read(tmp_path / name)[1][name].startswith("broken archive")
    lost = tmp_path / "wheel.whl"
    lost.write_bytes(wheel(tmp_path / "b.whl").read_bytes()[:200])
    assert read(lost)[1]["wheel.whl"].startswith("broken archive")
