"""Graphs of Hub commits in the user's cache: listed, dropped, and kept within a limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from santacoder.checkpoints import CheckpointError
from santacoder.checkpoints.__main__ import main
from santacoder.checkpoints.graph_cache import cached_graphs, lock_of, make_room, mark_used

SHAS = [letter * 40 for letter in "abc"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three graphs of 1,000 bytes each, used at 1, 2 and 3 s after the epoch; and one that is being written."""
    for used, sha in enumerate(SHAS, 1):
        graph = tmp_path / "models--org--name" / sha / "model_int8.onnx"
        graph.parent.mkdir(parents=True)
        graph.write_bytes(bytes(100))
        graph.with_name("model_int8.onnx_data").write_bytes(bytes(900))
        os.utime(graph, (used, used))
    unfinished = tmp_path / "models--org--name" / f".{'d' * 40}-int8" / "model_int8.onnx"
    unfinished.parent.mkdir()
    unfinished.write_bytes(bytes(50))
    return tmp_path


def test_those_used_longest_ago_make_room(folder: Path) -> None:
    assert [(graph.sha, graph.repo_id, graph.n_bytes) for graph in cached_graphs(folder)] == [
        (sha, "org/name", 1000) for sha in reversed(SHAS)
    ]
    mark_used(cached_graphs(folder)[-1].file)
    make_room(folder, 1000, 3000)
    assert [graph.sha for graph in cached_graphs(folder)] == [SHAS[0], SHAS[2]]
    assert not (folder / "models--org--name" / SHAS[1]).exists()
    with pytest.raises(CheckpointError, match=r"more than the limit of 0\.0 GB for graphs"):
        make_room(folder, 4000, 3000)
    with pytest.raises(CheckpointError, match="but the disk of the user's cache has"):
        make_room(folder, 10**18, 10**19)
    assert cached_graphs(folder / "absent") == []


def test_the_command_lists_and_drops(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graphs", "--folder", str(folder)]) == 0
    assert capsys.readouterr().out.count("org/name@") == 3
    assert main(["graphs", "--folder", str(folder), "--drop", "aaaa"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("dropped org/name@aaaaaaaaaa  model_int8.onnx") and "2 graphs" in out
    assert main(["graphs", "--folder", str(folder), "--drop", "aaaa"]) == 1
    assert "There is no graph of a commit 'aaaa'" in capsys.readouterr().err
    assert main(["graphs", "--folder", str(folder), "--drop", "all"]) == 0
    assert "0 graphs, 0.00 GB" in capsys.readouterr().out


def test_what_a_killed_process_has_left_makes_room(folder: Path) -> None:
    (unfinished,) = (path for path in (folder / "models--org--name").iterdir() if path.name.startswith("."))
    with FileLock(lock_of(unfinished)):  # another process writes there
        make_room(folder, 0, 10_000)
        assert unfinished.is_dir()
    make_room(folder, 0, 10_000)
    assert not unfinished.exists() and len(cached_graphs(folder)) == 3
