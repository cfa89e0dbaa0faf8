"""Files read from package archives; malformed members neither escape nor stop the run."""

from __future__ import annotations

import gc
import gzip
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from santacoder.errors import UserError
from train.data.archives import read_archive, tar_files
from train.data.corpus import unpack
from train.data.source_file import MAX_FILE_BYTES, Removed, SourceFile

FILES = {
    "package/good.js": b"let x = 1;\n",
    "package/deep/also.py": b"x = 1\n",
    "package/../../escape.py": b"x = 1\n",
    "package\\escape.py": b"x = 1\n",
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
        "package\\escape.py": "path leads out of the archive",
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


def header(name: bytes, size: int, kind: bytes) -> bytes:
    """A tar header that claims anything."""
    info = tarfile.TarInfo(name.decode())
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def hostile_tar(path: Path, kind: bytes, size: int) -> Path:
    """An archive with a header of ``size`` bytes, which takes a thousandth of that on disk."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header(b"x.py", size, kind))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    return path


@pytest.mark.parametrize(
    "kind",
    [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK],
)
def test_a_header_that_claims_megabytes_is_not_read(tmp_path: Path, kind: bytes) -> None:
    archive = hostile_tar(tmp_path / "a.tgz", kind, 64 << 20)
    tracemalloc.start()
    kept, removed = read(archive)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept == {} and removed == {"a.tgz": "broken archive (a header of 67,108,864 bytes)"}
    assert peak < 4 << 20
    with pytest.raises(UserError, match=r"a\.tgz cannot be unpacked: a header of 67,108,864 bytes"):
        unpack(archive, tmp_path / "unpacked")


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    """The archive really has them, as a sparse file that takes no space on disk."""
    size = 1_500_000_000
    for number, kind in enumerate((tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)):
        archive = tmp_path / f"{number}.tar"
        with archive.open("wb") as file:
            file.write(header(b"x.py", size, kind))
            file.truncate(512 + size + 1024)
        tracemalloc.start()
        kept, removed = read(archive)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert kept == {} and "a header of 1,500,000,000 bytes" in removed[archive.name]
        assert peak < 4 << 20
        with pytest.raises(UserError, match="a header of 1,500,000,000 bytes"):
            unpack(archive, tmp_path / "unpacked")


def test_sparse_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header(b"x.py", 512, tarfile.GNUTYPE_SPARSE) + bytes(2048))
    assert read(tmp_path / "a.tar") == ({}, {"a.tar": "broken archive (a sparse file)"})
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("x.py")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "512"}
        info.size = 1024
        archive.addfile(info, io.BytesIO(b"1000000000\n" * 90 + bytes(34)))
    assert read(tmp_path / "b.tar") == ({}, {"b.tar": "broken archive (a sparse file)"})


def test_members_that_have_gone_by_are_not_kept(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number in range(2000):
            archive.addfile(tarfile.TarInfo(f"{number}.py"))
    del archive
    for count, (info, file) in enumerate(tar_files(tmp_path / "a.tar"), start=1):
        assert info.name == f"{count - 1}.py" and file.read() == b""
    assert count == 2000
    assert sum(isinstance(one, tarfile.TarInfo) for one in gc.get_objects()) < 100


def test_pipes_and_devices_in_archives_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in [("a.py", tarfile.FIFOTYPE), ("b.py", tarfile.CHRTYPE), ("c.py", tarfile.REGTYPE)]:
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
    assert read(tmp_path / "a.tar") == ({"c.py": "python"}, {})
    unpack(tmp_path / "a.tar", tmp_path / "unpacked")
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == ["c.py"]


@pytest.mark.parametrize(
    "names,shown",
    [
        (["a" * 300 + ".py"], "aaa"),
        (["a.py", "a.py/b.py"], "'a.py/b.py'"),
        (["a.py/b.py", "a.py"], "'a.py'"),
    ],
)
def test_names_that_cannot_be_files_are_named(tmp_path: Path, names: list[str], shown: str) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x = 1\n")
    with pytest.raises(UserError, match=r"^code\.zip contains the path .*which cannot be written") as raised:
        unpack(tmp_path / "code.zip", tmp_path / "unpacked")
    assert shown in str(raised.value) and len(str(raised.value)) < 300


def odd_zip(path: Path) -> Path:
    """Its name is said to be UTF-8, which it is not."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/\u00e9.py", b"x = 1\n")
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xff"))
    return path


def sparse_tar(path: Path, map_: str) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("package/a.py")
        info.size, info.pax_headers = 6, {"GNU.sparse.map": map_, "GNU.sparse.size": "6"}
        archive.addfile(info, io.BytesIO(b"x = 1\n"))
    return path


@pytest.mark.parametrize("map_", ["x", "0,1"])
def test_damaged_names_and_maps_are_said(map_: str, tmp_path: Path) -> None:
    for archive in (odd_zip(tmp_path / "a.zip"), sparse_tar(tmp_path / "a.tgz", map_)):
        kept, removed = read(archive)
        assert not kept and removed[archive.name].startswith("broken archive")
        with pytest.raises(UserError, match=f"{archive.name} cannot be unpacked"):
            unpack(archive, tmp_path / "out")


def test_nothing_is_left_of_an_earlier_archive(tmp_path: Path) -> None:
    unpack(tarball_of(tmp_path / "a.tgz", "a.py"), tmp_path / "out")
    unpack(tarball_of(tmp_path / "b.tgz", "b.py"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.py"]


def tarball_of(path: Path, name: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = 6
        archive.addfile(info, io.BytesIO(b"x = 1\n"))
    return path
