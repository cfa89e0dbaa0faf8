"""Indexes of earlier versions are read, and unusable ones rejected with the reason."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from santacoder.attribution import AttributionIndex
from santacoder.errors import AttributionError
from tests.santacoder.attribution.conftest import File, write_index

TEXT = "".join(f"quay_{number} = berth({number}, tide)\n" for number in range(200))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_index(tmp_path, [[File("quays.py", TEXT)], [File("more.py", TEXT[::-1])]])
    return tmp_path


def compact(folder: Path) -> Path:
    """The index in ``folder`` without its text."""
    alone = folder / "compact"
    alone.mkdir(exist_ok=True)
    (alone / "index.bin").write_bytes((folder / "index.bin").read_bytes())
    return alone


def rewrite_header(path: Path, **changes: object) -> None:
    content = path.read_bytes()
    magic, version, length, _ = struct.unpack_from("<4sIII", content)
    header = {**json.loads(content[16 : 16 + length]), **changes}
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<4sIII", magic, version, len(encoded), zlib.crc32(encoded)) + encoded)


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(AttributionError, match="cannot be read: No such file or directory"):
        AttributionIndex(tmp_path)


def test_another_file(folder: Path) -> None:
    (folder / "index.bin").write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(AttributionError, match="is not an attribution index"):
        AttributionIndex(folder)


def test_another_format(folder: Path) -> None:
    content = bytearray((folder / "index.bin").read_bytes())
    content[4] = 9
    (folder / "index.bin").write_bytes(content)
    with pytest.raises(AttributionError, match="has format 9, but this program reads formats 2 and 3"):
        AttributionIndex(folder)


def test_an_index_without_compression_is_still_read(folder: Path) -> None:
    spans = AttributionIndex(compact(folder)).find(TEXT)
    path = folder / "compact" / "index.bin"
    write_format_2(path)
    assert AttributionIndex(path.parent).find(TEXT) == spans
    assert spans[0].sources[0].path == "quays.py"


def write_format_2(path: Path) -> None:
    """Write the index at ``path`` as earlier versions did."""
    content = path.read_bytes()
    length = struct.unpack_from("<4sIII", content)[2]
    header = json.loads(content[16 : 16 + length])
    start, sections = 16 + length, {}
    for name, itemsize in (("buckets", 4), ("hashes", 4), ("places", 4), ("anchors", 8), ("files", 28), ("paths", 1)):
        start += -start % 64
        sections[name] = content[start : start + header["counts"][name] * itemsize]
        start += len(sections[name])
    sections["paths"] = zlib.decompress(sections["paths"])
    del header["compressed"]
    header["counts"]["paths"] = len(sections["paths"])
    header["checksums"]["paths"] = zlib.crc32(sections["paths"])
    encoded = json.dumps(header).encode()
    content = struct.pack("<4sIII", b"SCAT", 2, len(encoded), zlib.crc32(encoded)) + encoded
    for section in sections.values():
        content += bytes(-len(content) % 64) + section
    path.write_bytes(content)


def test_other_tokens(folder: Path) -> None:
    rewrite_header(folder / "index.bin", made_with={"tokens": 0, "run": 5, "window": 4})
    with pytest.raises(AttributionError, match="their fingerprints cannot be compared"):
        AttributionIndex(folder)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 0.999))
def test_cut_short(folder: Path, part: float) -> None:
    content = (folder / "index.bin").read_bytes()
    cut = folder / "cut"
    cut.mkdir(exist_ok=True)
    (cut / "index.bin").write_bytes(content[: int(part * len(content))])
    with pytest.raises(AttributionError, match="truncated|damaged|not an attribution index"):
        AttributionIndex(cut)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 0.999), st.integers(1, 255))
def test_a_changed_byte(folder: Path, part: float, change: int) -> None:
    content = bytearray((folder / "index.bin").read_bytes())
    content[int(part * len(content))] ^= change
    damaged = folder / "damaged"
    damaged.mkdir(exist_ok=True)
    (damaged / "index.bin").write_bytes(content)
    try:
        spans = AttributionIndex(damaged).find(TEXT)
    except AttributionError:
        return
    assert spans == AttributionIndex(compact(folder)).find(TEXT)  # it was padding


def test_a_corpus_that_is_another(folder: Path) -> None:
    text = (folder / "text.bin").read_bytes()
    (folder / "text.bin").write_bytes(text[:-1])
    with pytest.raises(AttributionError, match="truncated or belongs to another corpus"):
        AttributionIndex(folder)


def test_a_corpus_that_changes_while_it_is_in_use(folder: Path) -> None:
    index = AttributionIndex(folder)
    assert index.find(TEXT)
    os.utime(folder / "text.bin", (1, 1))
    with pytest.raises(AttributionError, match="was changed while in use"):
        index.find(TEXT)
    (folder / "text.bin").unlink()
    with pytest.raises(AttributionError, match="was changed while in use"):
        index.find(TEXT)


def test_a_corpus_that_changed(folder: Path) -> None:
    text = (folder / "text.bin").read_bytes()
    (folder / "text.bin").write_bytes(text.replace(b"berth(7,", b"berth(8,"))
    index = AttributionIndex(folder)
    with pytest.raises(AttributionError, match="was changed since it was indexed"):
        index.find(TEXT)
    # what was not changed can still be asked about
    assert index.find(TEXT[::-1])
