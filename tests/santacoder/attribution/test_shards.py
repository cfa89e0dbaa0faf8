"""Several indexes queried as one give the same spans as a single index."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from santacoder.attribution import AttributionIndex, Shards, Span
from santacoder.errors import AttributionError, TextNotSearchable
from tests.santacoder.attribution.conftest import File, write_index


def questions(library: list[File]) -> list[str]:
    rng = random.Random(1)
    pieces = [rng.choice(library).text.split("\n")[start : start + 40] for start in (0, 20, 30, 60, 90)]
    return ["\n".join([*pieces[0], *pieces[1]]), "\n".join([*pieces[2], *pieces[3]]), "\n".join(pieces[4])]


def comparable(span: Span) -> Span:
    """``span`` without the numbers of files and shards, which depend on how files are divided."""
    sources = sorted((replace(source, file=0, shard=0) for source in span.sources), key=lambda source: source.path)
    return replace(span, sources=tuple(sources))


@pytest.fixture
def folders(library: list[File], tmp_path: Path) -> tuple[AttributionIndex, Path]:
    whole = write_index(tmp_path / "whole", [library])
    for number in range(3):
        write_index(tmp_path / "shards" / f"{number:05d}", [library[number::3]])
    return whole, tmp_path / "shards"


def test_threads(library: list[File], folders: tuple[AttributionIndex, Path]) -> None:
    whole, folder = folders
    shards = Shards(folder)
    assert shards.searched.files == whole.searched.files
    for text in questions(library):
        spans = shards.find(text, "python")
        assert spans and [comparable(span) for span in spans] == [
            comparable(span) for span in whole.find(text, "python")
        ]
        source = spans[0].sources[0]
        assert shards.original(source) in next(file.text for file in library if file.path == source.path)


@pytest.mark.heavy
def test_ray(library: list[File], folders: tuple[AttributionIndex, Path]) -> None:
    import ray

    from santacoder.attribution.on_ray import RayShards

    whole, folder = folders
    try:
        shards = RayShards(folder)
        for text in questions(library):
            spans = shards.find(text, "python")
            assert [comparable(span) for span in spans] == [comparable(span) for span in whole.find(text, "python")]
            assert shards.original(spans[0].sources[0])
        with pytest.raises(TextNotSearchable, match=r"^The text has 300,000 characters; [^\n]*$"):
            shards.find("x" * 300_000)
    finally:
        ray.shutdown()


def test_no_index_at_all(tmp_path: Path) -> None:
    with pytest.raises(AttributionError, match="contains no attribution index"):
        Shards(tmp_path)
