"""Tables of files: the user's own, and datasets with the columns of The Stack."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train.data import hub
from train.data.__main__ import main
from train.data.pack import load_packed
from train.data.source_file import Removed, SourceFile
from train.data.tables import table_files

ROW = {
    "content": "x = 1\n",
    "lang": "Python",
    "max_stars_repo_name": "owner/repo",
    "max_stars_repo_path": "src/a.py",
    "max_stars_repo_head_hexsha": "abc",
    "max_stars_repo_licenses": ["MIT", "Apache-2.0"],
    "max_stars_count": 12,
}


def test_rows_become_files(tmp_path: Path) -> None:
    rows = [
        ROW,
        {**ROW, "max_stars_count": None, "lang": "Java", "max_stars_repo_path": "A.java"},
        {**ROW, "lang": "Rust"},
        {**ROW, "content": None},
        {**ROW, "content": "x" * 1_100_000},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    items = [item for source in table_files(tmp_path / "data.parquet") for item in source.read()]
    files = [item for item in items if isinstance(item, SourceFile)]
    assert files[0] == SourceFile("owner/repo", "abc", "MIT OR Apache-2.0", "src/a.py", "python", "x = 1\n", 12)
    assert (files[1].language, files[1].stars) == ("java", 0)
    assert [item.reason for item in items if isinstance(item, Removed)] == [
        "another language",
        "no content",
        "larger than 1 MB",
    ]


def test_a_row_whose_path_is_nothing_but_an_ending_is_a_file_like_others(tmp_path: Path) -> None:
    """The row states the language, whatever its path."""
    paths = ["src/.js", "a.js", "b.py", "Makefile", "", "."]
    rows = [{**ROW, "lang": "JavaScript", "max_stars_repo_path": path} for path in paths]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    (source,) = table_files(tmp_path / "data.parquet")
    assert [item.language for item in source.read()] == ["javascript"] * len(paths)


def test_a_column_of_bytes_and_languages_by_their_endings(tmp_path: Path) -> None:
    rows = [
        {"content": b"x = 1\r\n", "lang": "py"},
        {"content": b"\xff", "lang": "JS"},
        {"content": b"", "lang": "c++"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    (source,) = table_files(tmp_path / "data.parquet")
    first, *others = source.read()
    assert isinstance(first, SourceFile) and (first.language, first.text) == ("python", "x = 1\n")
    assert [item.reason for item in others if isinstance(item, Removed)] == ["not UTF-8", "another language"]


def test_every_file_of_a_folder_is_a_source(tmp_path: Path) -> None:
    for number in range(3):
        rows = [{**ROW, "max_stars_repo_path": f"{number}.py"}]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{number}.parquet")
    sources = table_files(tmp_path)
    assert [[item.path for item in source.read()] for source in sources] == [["0.py"], ["1.py"], ["2.py"]]
    assert len({source.name for source in sources}) == 3


def test_a_missing_column_or_dataset_is_a_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"], "lang": ["Python"]}), tmp_path / "data.parquet")
    with pytest.raises(ValueError, match=r"lacks the column\(s\) content; it has lang, text"):
        table_files(tmp_path / "data.parquet")
    (tmp_path / "odd.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="cannot be opened"):
        table_files(tmp_path / "odd.parquet")


def test_a_dataset_is_read_as_the_library_gives_it(tmp_path: Path) -> None:
    """The library accepts a folder as a dataset, too."""
    pq.write_table(pa.Table.from_pylist([ROW, {**ROW, "lang": "Java"}]), tmp_path / "train.parquet")
    files = [item for source in hub.dataset(str(tmp_path)) for item in source.read()]
    assert [item.language for item in files] == ["python", "java"]
    assert isinstance(files[0], SourceFile) and files[0].licence == "MIT OR Apache-2.0"


CODE = "# what {0} does\ndef {0}(one, other):\n    return one + other * {0}_of(one)\n"


def read(path: Path, language: str | None = None) -> list[tuple[str, str, str]]:
    """Language (or the reason for removal), licence and path of every row."""
    items = [item for source in table_files(path, language) for item in source.read()]
    return [
        (item.language, item.licence, item.path) if isinstance(item, SourceFile) else (item.reason, "", item.path)
        for item in items
    ]


def test_a_table_of_ones_own_is_ones_own(tmp_path: Path) -> None:
    rows = [
        {"content": "x = 1\r\n", "lang": "Python"},
        {"content": "x = 1\n", "path": "src/a.js"},
        {"content": "x = 1\n", "ext": "java"},
        {"content": "x = 1\n", "lang": None, "path": "src/.js"},
        {"content": "x = 1\n", "lang": "Rust"},
        {"content": None, "lang": "Python"},
        {"content": "\ud800", "lang": "Python", "license": "GPL-3.0"},
    ]
    lines = "\ufeff" + "\n".join(map(json.dumps, rows)) + "\n\n[1]\n{broken\n"
    (tmp_path / "mine.jsonl").write_text(lines, encoding="utf-8")
    nothing = "unknown language: use a column lang, a known extension or --language"
    expected = [
        ("python", "user", "0.py"),
        ("javascript", "user", "src/a.js"),
        ("java", "user", "2.java"),
        (nothing, "", "src/.js"),
        ("another language", "", "4"),
        ("no content", "", "5.py"),
        ("python", "GPL-3.0", "6.py"),
        ("line is not a JSON object", "", "line 9"),
        ("line is not a JSON object", "", "line 10"),
    ]
    assert read(tmp_path / "mine.jsonl") == expected
    assert read(tmp_path / "mine.jsonl", "javascript")[3] == ("javascript", "user", "src/.js")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "mine.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert read(tmp_path / "packed") == expected
    (tmp_path / "packed" / "mine.jsonl.gz").write_bytes(gzip.compress((lines * 999).encode())[:500])
    assert read(tmp_path / "packed")[-1][0].startswith("broken file")


@pytest.mark.parametrize("option", ["--dataset", "--folder"])
def test_a_table_of_ones_own_is_packed(tmp_path: Path, option: str) -> None:
    rows = [{"content": CODE.format(name), "path": f"{name}.py"} for name in ("alpha", "beta", "gamma", "delta")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    out = tmp_path / "out"
    assert main([option, str(tmp_path / "mine.parquet"), "--vocab-size", "300", "--out", str(out)]) == 0
    assert {package.licence for package in load_packed(out).packages} == {"user"}


def test_when_too_little_is_left_the_reasons_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"content": "x = 1\n"}, {"content": CODE.format("a"), "lang": "Python"}, {"content": CODE.format("b")}]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(SystemExit) as exit_:
        main(["--dataset", str(tmp_path / "mine.jsonl"), "--out", str(tmp_path / "out")])
    sentence = capsys.readouterr().err
    assert exit_.value.code == 2 and "Found 1 usable source file(s)" in sentence
    assert "unknown language: use a column lang, a known extension or --language (2)." in sentence
    # with what the sentence asks for, there are two
    arguments = ["--dataset", str(tmp_path / "mine.jsonl"), "--language", "python", "--vocab-size", "300"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
