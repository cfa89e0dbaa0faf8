"""Indexes of earlier versions are read, and unusable ones rejected with the reason."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from santacoder.attribution import AttributionIndex, index_file
from santacoder.attribution.build import digest
from santacoder.attribution.contents import SECTIONS
from santacoder.errors import AttributionError
from tests.santacoder.attribution.conftest import File, write_index

Change = Callable[[dict[str, Any], dict[str, bytes]], None]
"""A change of an index's header and sections."""
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

    def uncompressed(header: dict[str, Any], sections: dict[str, bytes]) -> None:
        del header["compressed"]
        sections["paths"] = zlib.decompress(sections["paths"])

    rewrite(path, uncompressed, version=2)


def rewrite(path: Path, change: Change, version: int = 3) -> None:
    """Change header and sections of the index at ``path``, with the counts and checksums of what they become."""
    content = path.read_bytes()
    length = struct.unpack_from("<4sIII", content)[2]
    header = json.loads(content[16 : 16 + length])
    start, sections = 16 + length, {}
    for name, dtype in SECTIONS.items():
        start += -start % 64
        sections[name] = content[start : start + header["counts"][name] * dtype.itemsize]
        start += len(sections[name])
    change(header, sections)
    for name, dtype in SECTIONS.items():
        header["counts"][name] = len(sections[name]) // dtype.itemsize
        header["checksums"][name] = zlib.crc32(sections[name])
    path.write_bytes(with_header(json.dumps(header).encode(), version))
    with path.open("ab") as file:
        for section in sections.values():
            file.write(bytes(-file.tell() % 64) + section)


def with_header(encoded: bytes, version: int = 3) -> bytes:
    return struct.pack("<4sIII", b"SCAT", version, len(encoded), zlib.crc32(encoded)) + encoded


HEADERS: dict[str, bytes] = {
    "not JSON": b"{",
    "not text": b"\xff",
    "nested deeply": b"[" * 100_000,
    "a number of 5,000 digits": b"9" * 5000,
    "a list": b"[]",
    "nothing": b"null",
    "empty": b"{}",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_is_none(folder: Path, header: str) -> None:
    (folder / "index.bin").write_bytes(with_header(HEADERS[header]))
    with pytest.raises(AttributionError, match="index.bin is damaged: its header .* build it again"):
        AttributionIndex(folder)


FIELDS: list[tuple[str, Any]] = [
    ("made_with", 5),
    *[("compressed", value) for value in (None, 5, {}, "paths", ["files"], ["paths", "paths"])],
    *[("counts", value) for value in (None, [], {}, 5)],
    *[("counts.places", value) for value in (None, -1, 1.5, "1", True)],
    *[("checksums", value) for value in (None, [], {})],
    *[("checksums.files", value) for value in (None, -1, 1.5, "1")],
    *[("parameters", value) for value in (None, [], {"windows": 5})],
    *[("parameters.window", value) for value in (None, 0, -1, 2.5, "5", True, 2**70)],
    *[("parameters.renamed", value) for value in (None, 1, "no")],
    *[("origins", value) for value in (None, {}, "abcd", 5, ["abcd"], [["harbour"]], [None])],
    *[("origins", [origin]) for origin in (["a"] * 6, ["a", "1", "MIT", 5], ["a", "1", "MIT", None])],
    ("origins", [["harbour", "1.0", "MIT", "cobol"]]),
    ("origins", [["harbour\ud800", "1.0", "MIT", "python"]]),
]


@pytest.mark.parametrize(("place", "value"), FIELDS)
def test_a_header_with_an_impossible_field(folder: Path, place: str, value: object) -> None:
    content = (folder / "index.bin").read_bytes()
    length = struct.unpack_from("<4sIII", content)[2]
    header = json.loads(content[16 : 16 + length])
    *outer, field = place.split(".")
    (header[outer[0]] if outer else header)[field] = value
    (folder / "index.bin").write_bytes(with_header(json.dumps(header).encode()) + content[16 + length :])
    name = place.split(".")[0]
    with pytest.raises(AttributionError, match=f"damaged: its header has no usable {name}. Copy it or build it again"):
        AttributionIndex(folder)


def changed(name: str, change: Callable[[np.ndarray], object]) -> Change:
    """Change a section as an array; a returned array replaces it."""

    def rewritten(_: dict[str, Any], sections: dict[str, bytes]) -> None:
        array = np.frombuffer(sections[name], SECTIONS[name]).copy()
        replaced = change(array)
        sections[name] = (replaced if isinstance(replaced, np.ndarray) else array).tobytes()

    return rewritten


def field(name: str, column: str, row: int, value: int) -> Change:
    return changed(name, lambda array: array[column].__setitem__(row, value))


def paths(change: Callable[[bytes], bytes]) -> Change:
    def rewritten(_: dict[str, Any], sections: dict[str, bytes]) -> None:
        sections["paths"] = zlib.compress(change(zlib.decompress(sections["paths"])))

    return rewritten


def without_flag(header: dict[str, Any], _: dict[str, bytes]) -> None:
    del header["compressed"]


def as_stream(change: Callable[[bytes], bytes]) -> Change:
    def rewritten(_: dict[str, Any], sections: dict[str, bytes]) -> None:
        sections["paths"] = change(sections["paths"])

    return rewritten


SECTIONS_THAT_DO_NOT_FIT: dict[str, tuple[Change, str]] = {
    "no files": (changed("files", lambda array: array[:0]), "its paths have the wrong length"),
    "no buckets": (changed("buckets", lambda array: array[:0]), "the number of its buckets is not a power of two"),
    "one bucket": (changed("buckets", lambda array: array[[0, -1]]), "not a power of two"),
    "a bucket less": (changed("buckets", lambda array: array[1:]), "not a power of two"),
    "buckets that fall": (changed("buckets", lambda array: array.__setitem__(1, 2**31)), "not those of its finger"),
    "buckets that end early": (changed("buckets", lambda array: array.__setitem__(-1, 1)), "not those of its"),
    "no places": (changed("places", lambda array: array[:0]), "do not have one place each"),
    "a place too many": (changed("places", lambda array: np.append(array, array[:1])), "do not have one place each"),
    "a place behind the files": (changed("places", lambda array: array.__setitem__(0, 2**30)), "outside its files"),
    "no anchors": (changed("anchors", lambda array: array[:0]), "its anchors are not those of its tokens"),
    "anchors of another file": (field("files", "anchor", 1, 0), "its anchors are not those of its tokens"),
    "an anchor behind its file": (field("anchors", "byte", 0, 2**31), "an anchor is outside its file"),
    "anchors that fall": (field("anchors", "byte", 1, 0), "an anchor is outside its file"),
    "no line": (field("anchors", "line", 0, 0), "the lines of its anchors do not ascend"),
    "lines that fall": (field("anchors", "line", 1, 2**31), "the lines of its anchors do not ascend"),
    "an origin that is missing": (field("files", "origin", 0, 9), "a file has no origin"),
    "tokens before the files": (field("files", "token", 0, 1), r"its files \(token\) do not ascend from 0"),
    "bytes that fall": (field("files", "byte", 1, 2**31), r"its files \(byte\) do not ascend"),
    "paths that fall": (field("files", "path", 1, 2**31), r"its files \(path\) do not ascend"),
    "paths of other bytes": (paths(lambda text: b"\xff" + text[1:]), "its paths are not UTF-8"),
    "a path inside a character": (paths(lambda text: text[:7] + "é".encode() + text[9:]), "begins inside a character"),
    "paths too long": (paths(lambda text: text + b"x"), "its paths have the wrong length"),
    "paths too short": (paths(lambda text: text[:-1]), "its paths have the wrong length"),
    "bytes behind the paths": (as_stream(lambda stream: stream + b"x"), "its paths have the wrong length"),
    "a stream that goes on": (as_stream(lambda stream: stream[:-1]), "its paths have the wrong length"),
    "no stream": (as_stream(lambda stream: b"x" + stream), "its paths cannot be decompressed"),
    "compressed without saying so": (without_flag, "its paths have the wrong length"),
}


@pytest.mark.parametrize("case", SECTIONS_THAT_DO_NOT_FIT)
def test_sections_that_do_not_fit_together(folder: Path, case: str) -> None:
    change, sentence = SECTIONS_THAT_DO_NOT_FIT[case]
    rewrite(folder / "index.bin", change)
    with pytest.raises(AttributionError, match=f"index.bin is damaged: .*{sentence}.* build it again"):
        AttributionIndex(folder)


def test_long_paths_are_not_decompressed(folder: Path) -> None:
    n_bytes = 100_000_000

    def swollen(_: dict[str, Any], sections: dict[str, bytes]) -> None:
        field("files", "path", -1, n_bytes)(_, sections)
        sections["paths"] = zlib.compress(bytes(n_bytes))

    rewrite(folder / "index.bin", swollen)
    tracemalloc.start()
    with pytest.raises(AttributionError, match="its paths are too long. Copy it or build it again"):
        AttributionIndex(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n_bytes / 10


def test_a_fingerprint_that_is_placed_at_the_end_of_a_file(folder: Path) -> None:
    last = index_file.read(folder / "index.bin").files["token"][1] - 1
    rewrite(folder / "index.bin", changed("places", lambda array: array.__setitem__(slice(None), last)))
    assert AttributionIndex(folder).find(TEXT) == []


def test_a_text_that_is_not_utf_8(folder: Path) -> None:
    text = b"\xff" + (folder / "text.bin").read_bytes()[1:]
    (folder / "text.bin").write_bytes(text)
    rewrite(folder / "index.bin", field("files", "digest", 0, digest(text[: len(TEXT)])))
    with pytest.raises(AttributionError, match="was changed since it was indexed"):
        AttributionIndex(folder).find(TEXT)


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
