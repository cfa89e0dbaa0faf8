"""Datasets with the columns of The Stack, from a local Parquet file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train.data import hub
from train.data.source_file import Removed, SourceFile

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
    items = [item for source in hub.dataset(str(tmp_path / "data.parquet")) for item in source.read()]
    files = [item for item in items if isinstance(item, SourceFile)]
    assert files[0] == SourceFile("owner/repo", "abc", "MIT OR Apache-2.0", "src/a.py", "python", "x = 1\n", 12)
    assert (files[1].language, files[1].stars) == ("java", 0)
    assert [item.reason for item in items if isinstance(item, Removed)] == [
        "another language",
        "no content",
        "larger than 1 MB",
    ]


def test_a_row_whose_path_is_nothing_but_an_ending_is_a_file_like_others(tmp_path: Path) -> None:
    """The language is the row's, whatever the path says."""
    paths = ["src/.js", "a.js", "b.py", "Makefile", "", "."]
    rows = [{**ROW, "lang": "JavaScript", "max_stars_repo_path": path} for path in paths]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    (source,) = hub.dataset(str(tmp_path / "data.parquet"))
    assert [item.language for item in source.read()] == ["javascript"] * len(paths)


def test_every_file_of_a_folder_is_a_source(tmp_path: Path) -> None:
    for number in range(3):
        rows = [{**ROW, "max_stars_repo_path": f"{number}.py"}]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{number}.parquet")
    sources = hub.dataset(str(tmp_path))
    assert [[item.path for item in source.read()] for source in sources] == [["0.py"], ["1.py"], ["2.py"]]
    assert len({source.name for source in sources}) == 3


def test_a_missing_column_or_dataset_is_a_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"], "lang": ["Python"]}), tmp_path / "data.parquet")
    with pytest.raises(ValueError, match=r"lacks the column\(s\) content; it has lang, text"):
        hub.dataset(str(tmp_path / "data.parquet"))
    (tmp_path / "odd.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="cannot be opened"):
        hub.dataset(str(tmp_path / "odd.parquet"))
