"""A step of the pipeline on one shard: the files it keeps, and a tally of what it removed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from santacoder.atomic import replacing
from train.data.source_file import Removed, SourceFile, read_shard, write_shard
from train.data.sources import Source

SHARD_CHARACTERS = 8_000_000
MAX_SAMPLES = 3  # for each reason in each shard; files that cannot be read are all named


@dataclass(frozen=True)
class Outcome:
    """The result of a stage on a batch of files."""

    kept: Sequence[SourceFile]
    removed: Sequence[Removed]
    redacted: dict[str, int] = field(default_factory=dict)


Stage = Callable[[list[SourceFile]], Outcome]


@dataclass
class Tally:
    """Counts of a step: ``kept`` by language and licence, ``removed`` by reason, as [files, bytes]."""

    kept: dict[str, list[int]] = field(default_factory=dict)
    removed: dict[str, list[int]] = field(default_factory=dict)
    samples: dict[str, list[str]] = field(default_factory=dict)
    redacted: dict[str, int] = field(default_factory=dict)

    def keep(self, file: SourceFile) -> None:
        self._count(self.kept, f"{file.language}|{file.licence}", 1, len(file.text.encode("utf-8")))

    def remove(self, removed: Removed, max_samples: int | None) -> None:
        self._count(self.removed, removed.reason, 1, removed.bytes)
        samples = self.samples.setdefault(removed.reason, [])
        if max_samples is None or len(samples) < max_samples:
            samples.append(f"{removed.package}: {removed.path}" if removed.path else removed.package)

    def add(self, other: Tally) -> None:
        for mine, theirs in ((self.kept, other.kept), (self.removed, other.removed)):
            for key, (files, size) in theirs.items():
                self._count(mine, key, files, size)
        for reason, samples in other.samples.items():
            self.samples.setdefault(reason, []).extend(samples)
        self.redacted = dict(Counter(self.redacted) + Counter(other.redacted))

    @staticmethod
    def _count(counts: dict[str, list[int]], key: str, files: int, size: int) -> None:
        total = counts.setdefault(key, [0, 0])
        total[0] += files
        total[1] += size


def read_source(source: Source, folder: Path) -> list[Path]:
    """Write the files of ``source`` as shards into ``folder``, unless that is done already."""
    listing = folder / f"{source.name}.shards.json"
    if not listing.exists():
        names = []
        for number, (files, removed) in enumerate(_chunks(source.read())):
            name = f"{source.name}-{number:05d}.parquet"
            _write(folder / name, Outcome(files, removed), max_samples=None)
            names.append(name)
        with replacing(listing) as out:
            out.write(json.dumps(names).encode())
    return [folder / name for name in json.loads(listing.read_text())]


def run_stage(stage: Stage, shard: Path, folder: Path) -> Path:
    """Apply ``stage`` to a shard and write the result into ``folder`` under the same name, unless that is done
    already.
    """
    target = folder / shard.name
    if not target.exists():
        _write(target, stage(read_shard(shard)), max_samples=MAX_SAMPLES)
    return target


def tally(shards: Iterable[Path]) -> Tally:
    """The sum of the tallies stored next to ``shards``."""
    total = Tally()
    for shard in shards:
        total.add(Tally(**json.loads(shard.with_suffix(".json").read_text())))
    return total


def _chunks(found: Iterable[SourceFile | Removed]) -> Iterator[tuple[list[SourceFile], list[Removed]]]:
    """Group files and removals into chunks of about a shard; at least one."""
    files: list[SourceFile] = []
    removed: list[Removed] = []
    size = 0
    for item in found:
        if isinstance(item, Removed):
            removed.append(item)
            continue
        files.append(item)
        size += len(item.text)
        if size >= SHARD_CHARACTERS:
            yield files, removed
            files, removed, size = [], [], 0
    yield files, removed


def _write(target: Path, outcome: Outcome, max_samples: int | None) -> None:
    """Write a shard and its tally. The tally is written first, so a shard that exists is complete."""
    counts = Tally(redacted=outcome.redacted)
    for file in outcome.kept:
        counts.keep(file)
    for item in outcome.removed:
        counts.remove(item, max_samples)
    with replacing(target.with_suffix(".json")) as out:
        out.write(json.dumps(asdict(counts)).encode())
    write_shard(target, outcome.kept)
