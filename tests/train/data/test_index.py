"""python -m train.data.index, from shards to spans."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from santacoder.attribution import AttributionIndex
from train.data import index
from train.data.pack import pack
from train.data.source_file import SourceFile
from train.data.sources import Source
from train.data.steps import read_source


def packed(folder: Path, package: str, texts: list[str]) -> Path:
    """A packed folder with ``texts`` as files of ``package``, and with a held-out package."""
    named = [(package, text) for text in texts] + [("held-out", "x = 1\n" * 40)]
    files = [SourceFile(name, "1.0", "MIT", f"{name}.py", "python", text) for name, text in named]
    shards = read_source(Source("all", lambda: iter(files)), folder / "shards")
    pack(shards, folder / "data", vocab_size=300, held_out=["held-out"])
    return folder / "data"


def test_index_of_two_corpora(tmp_path: Path) -> None:
    texts = ["".join(f"{name}_{number} = berth({number})\n" for number in range(40)) for name in ("quay", "pier")]
    corpora = [packed(tmp_path / name, name, [text]) for name, text in zip("ab", texts, strict=True)]
    assert index.main([*map(str, corpora), "--out", str(tmp_path / "index")]) == 0
    for name, text in zip("ab", texts, strict=True):
        (span,) = AttributionIndex(tmp_path / "index").find(text)
        assert (span.sources[0].package, span.sources[0].lines) == (name, (1, 40))
    assert AttributionIndex(tmp_path / "index").find("x = 1\n" * 40) == []


@pytest.mark.parametrize(
    ("gone", "said"), [("shards", "no longer contains shards"), ("data", "contains no packed data")]
)
def test_data_whose_files_are_gone(tmp_path: Path, gone: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = packed(tmp_path, "harbour", ["y = 2\n" * 40])
    shutil.rmtree(tmp_path / gone)
    with pytest.raises(SystemExit) as stopped:
        index.main([str(data), "--out", str(tmp_path / "index")])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
