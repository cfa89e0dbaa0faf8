"""The executor for clusters, on a local Ray with two workers: the output is identical, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networkx
import numpy as np
import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from santacoder.experiments import EXPERIMENTS
from train.data import sources
from train.data.local import LocalExecutor
from train.data.on_ray import RayExecutor, large_star, small_star
from train.data.pipeline import Executor, Pipeline
from train.data.source_file import SourceFile, read_shard


@pytest.fixture(scope="module")
def executor() -> Iterator[RayExecutor]:
    ray.init(num_cpus=2, include_dashboard=False, logging_level="WARNING")
    yield RayExecutor(partitions=2)
    ray.shutdown()


@pytest.mark.heavy
def test_the_same_files_are_kept_as_on_one_machine(executor: RayExecutor, tmp_path: Path) -> None:
    """A chain of near duplicates, exact duplicates, and unique files, through all steps of two filters."""
    folder = tmp_path / "code"
    folder.mkdir()
    names = [f"name{number:03d}" for number in range(400)]
    for number in range(12):  # each similar to the next, the last no longer to the first
        lines = [f"{name} = 1" for name in names[number * 10 : number * 10 + 250]]
        (folder / f"chain{number:02d}.py").write_text(
            "\n".join(["# the names of this file, and there are many", *lines])
        )
    for number in range(20):
        (folder / f"own{number:02d}.py").write_text(
            f"# one\nown{number} = {number}\n" * 5 + f"def f{number}(a, b): pass\n"
        )
        (folder / f"twin{number:02d}.py").write_text((folder / f"own{number:02d}.py").read_text())

    def kept(work: Path, with_executor: Executor) -> list[list[SourceFile]]:
        pipeline = Pipeline(sources.folder(folder), work, with_executor)
        return [read_shard(shard) for shard in pipeline.run(EXPERIMENTS["final"])[-1].shards]

    alone, together = kept(tmp_path / "alone", LocalExecutor()), kept(tmp_path / "together", executor)
    assert alone == together
    assert sum(file.path.startswith("chain") for shard in alone for file in shard) == 1
    assert sum(file.path.startswith(("own", "twin")) for shard in alone for file in shard) == 20


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)).filter(lambda edge: edge[0] != edge[1]), min_size=1))
def test_stars_are_the_components(edges: list[tuple[int, int]]) -> None:
    """The cluster's iteration, in one part."""
    pairs, before = {tuple(sorted(edge)) for edge in edges}, set()
    while pairs != before:
        before = pairs
        both = np.array([*pairs, *((other, one) for one, other in pairs)])
        large = large_star({"one": both[:, 0], "other": both[:, 1]})
        one, other = np.maximum(large["one"], large["other"]), np.minimum(large["one"], large["other"])
        small = small_star({"one": one, "other": other})
        pairs = set(zip(small["one"].tolist(), small["other"].tolist(), strict=True))
    graph = networkx.Graph(edges)
    assert pairs == {
        (node, min(component))
        for component in networkx.connected_components(graph)
        for node in component
        if node != min(component)
    }
