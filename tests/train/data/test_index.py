"""python -m train.data.index, from shards to spans."""

from __future__ import annotations

from pathlib import Path

import pytest

from santacoder.attribution import AttributionIndex
from train.data import index
from train.data.source_file import SourceFile, write_shard


def test_index_from_shards(tmp_path: Path) -> None:
    texts = ["".join(f"{name}_{number} = berth({number})\n" for number in range(40)) for name in ("quay", "pier")]
    for number, text in enumerate(texts):
        file = SourceFile("harbour", "1.0", "MIT", f"{number}.py", "python", text)
        write_shard(tmp_path / "shards" / f"{number}.parquet", [file])
    assert index.main([str(tmp_path / "shards"), "--out", str(tmp_path / "index")]) == 0
    (span,) = AttributionIndex(tmp_path / "index").find(texts[1])
    assert (span.sources[0].path, span.sources[0].lines) == ("1.py", (1, 40))


def test_a_folder_without_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        index.main([str(tmp_path), "--out", str(tmp_path / "index")])
    assert stopped.value.code == 2
    assert "holds no shards" in capsys.readouterr().err
