"""python -m train.data.index, from shards to spans."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from santacoder.attribution import AttributionIndex, Shards
from train.data import index
from train.data.index import Shard, build_index
from train.data.local import LocalExecutor
from train.data.pack import pack
from train.data.source_file import SourceFile, write_shard
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


def text_of(name: str, number: int) -> str:
    return "".join(f"{name}_{number}_{line} = berth({line}, {name})\n" for line in range(40))


def built(
    folder: Path, name: str, count: int, executor: LocalExecutor | None = None, *, with_text: bool = True
) -> Path:
    """The folder of ``count`` indexes, each of one file with a :func:`text_of` ``name``."""
    shards = []
    for number in range(count):
        file = SourceFile(name, "1.0", "MIT", f"{number}.py", "python", text_of(name, number))
        shards.append(Shard(folder / f"{name}-{number}.parquet"))
        write_shard(shards[-1].path, [file])
    output = folder / "index"
    build_index(shards, output, with_text=with_text, executor=executor, max_bytes=1)
    return output


def contents(output: Path, name: str, count: int) -> list[bool]:
    """Which of the texts of ``name`` are found."""
    shards = Shards(output)
    return [bool(shards.find(text_of(name, number), "python")) for number in range(count)]


@pytest.mark.parametrize("with_text", [True, False])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (5, 3), (3, 1), (2, 3), (1, 1)])
def test_a_later_build_replaces_all_of_the_earlier_one(
    tmp_path: Path, before: int, after: int, with_text: bool
) -> None:
    built(tmp_path, "quay", before)
    output = built(tmp_path, "pier", after, with_text=with_text)
    assert contents(output, "pier", after) == [True] * after
    assert contents(output, "quay", before) == [False] * before
    assert Shards(output).searched.files == after
    assert [path.parent.name for path in sorted(output.rglob("text.bin"))] == (
        [] if not with_text else ["index"] if after == 1 else ["00000", "00001", "00002"]
    )


class Fails(LocalExecutor):
    """Fails at the second index."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def map(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self._calls += 1
        if self._calls == 2:
            raise OSError("No space left on device")
        return super().map(*args, **kwargs)


@pytest.mark.parametrize("before", [1, 3])
def test_a_build_that_fails_leaves_the_earlier_one(tmp_path: Path, before: int) -> None:
    output = built(tmp_path, "quay", before)
    files = sorted(output.rglob("*"))
    with pytest.raises(OSError, match="No space left"):
        built(tmp_path, "pier", 3, Fails())
    assert sorted(output.rglob("*")) == files
    assert contents(output, "quay", before) == [True] * before


def test_what_a_killed_build_left_is_deleted_and_what_others_made_is_not(tmp_path: Path) -> None:
    output = built(tmp_path, "quay", 2)
    shutil.copytree(output / "00000", output / ".building-x" / "00000")
    shutil.copytree(output / "00000", output / "mine")
    assert Shards(output).searched.files == 3
    built(tmp_path, "pier", 2)
    assert sorted(path.name for path in output.iterdir()) == ["00000", "00001", "mine"]
    assert contents(output, "quay", 2) == [True, False]  # in mine
