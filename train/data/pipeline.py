"""The data pipeline: read, clean, deduplicate, and apply the filters of a variant.

Every step writes its shards below ``work`` and skips shards that exist, so a stopped run can be continued, and variants
share their common steps.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol, TypeVar

from santacoder.atomic import replacing
from santacoder.experiments import Experiment, FilterName
from santacoder.tokenizer import Tokenizer
from train.data.decontaminate import contaminated, digest_of_benchmarks
from train.data.duplicates import Duplicates, drop
from train.data.filters import (
    Filter,
    few_stars,
    generated,
    infertile,
    oddly_commented,
    opted_out,
    sift,
    too_short,
    unlicensed,
    unreadable,
)
from train.data.pack import train_tokenizer
from train.data.redact import redact
from train.data.simple import common_words, not_simple
from train.data.source_file import SourceFile, read_shard
from train.data.sources import Source
from train.data.steps import Outcome, Stage, Tally, read_source, run_stage, tally

Item = TypeVar("Item")
Result = TypeVar("Result")

# arXiv 2301.03988, sections 4.1 and 5.1: n-gram size in tokens, and similarity threshold for removal
BASE_DEDUP = (1, 0.85)
DEDUP_ALT = (5, 0.7)
RULES = 5  # part of the folder names; increment it when the behaviour of a step changes
FERTILITY_VOCABULARY = 49_152  # the filter's thresholds were set for the paper's tokenizer


class Executor(Protocol):
    """Runs the work: ``local.LocalExecutor`` or ``on_ray.RayExecutor``."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], description: str) -> list[Result]: ...

    def duplicates(
        self, shards: Sequence[Path], ngram_size: int, threshold: float, layout: bool = False
    ) -> Duplicates: ...


@dataclass(frozen=True)
class Step:
    """A finished step: the remaining shards, what it removed, and how long it took in this run."""

    name: str
    shards: list[Path]
    tally: Tally
    seconds: float


@dataclass
class Pipeline:
    """The steps of one run, in order.

    Args:
        sources: the sources to read.
        work: folder of intermediate results.
        executor: runs the work.
        opt_out: names of packages or repositories to exclude, in lower case.
        sample: fraction of the files to use.
        simple: finally, keep only files that suit a small model.
        layout: include layout in the n-grams of dedup-alt, as the original does.
        steps: the finished steps.
    """

    sources: Sequence[Source]
    work: Path
    executor: Executor
    opt_out: Collection[str] = ()
    sample: float = 1.0
    simple: bool = False
    layout: bool = False
    steps: list[Step] = field(default_factory=list)

    def run(self, experiment: Experiment) -> list[Step]:
        """Run all steps that ``experiment`` needs.

        Raises:
            OSError: the disk is full, or a source vanished; finished shards remain for the next run.
        """
        self._read()
        if self.sample < 1:
            in_sample = partial(keep_passing, filter_=partial(not_drawn, share=self.sample))
            self._apply("sample", in_sample, identity=str(self.sample))
        clean_up = partial(clean, opt_out=frozenset(self.opt_out))
        self._apply("clean", clean_up, identity="\n".join([digest_of_benchmarks(), *sorted(self.opt_out)]))
        self._deduplicate("near-dedup", *BASE_DEDUP)
        for name in experiment.filters:
            if name == "dedup-alt":
                self._deduplicate(name, *DEDUP_ALT, self.layout)
            else:
                self._apply(name, partial(keep_passing, filter_=self._filter(name)))
        if self.simple:
            self._apply("simple", partial(keep_passing, filter_=partial(not_simple_by, self._common_words())))
        return self.steps

    def _read(self) -> None:
        started = time.perf_counter()
        folder = self.work / f"1-read-{RULES}"
        folder.mkdir(parents=True, exist_ok=True)
        parts = self.executor.map(partial(read_source, folder=folder), self.sources, "reading")
        shards = [shard for part in parts for shard in part]
        self.steps.append(Step("read", shards, tally(shards), time.perf_counter() - started))

    def _apply(self, name: str, stage: Stage, identity: str = "") -> None:
        """Apply ``stage`` to the shards of the last step. The folder's name identifies all steps so far."""
        started = time.perf_counter()
        last = self.steps[-1]
        before = last.shards[0].parent.name if last.shards else ""
        digest = hashlib.sha256(f"{before}\0{name}\0{identity}".encode()).hexdigest()[:8]
        folder = self.work / f"{len(self.steps) + 1}-{name}-{digest}"
        folder.mkdir(parents=True, exist_ok=True)
        shards = self.executor.map(partial(run_stage, stage, folder=folder), last.shards, name)
        self.steps.append(Step(name, shards, tally(shards), time.perf_counter() - started))

    def _deduplicate(self, name: str, ngram_size: int, threshold: float, layout: bool = False) -> None:
        started = time.perf_counter()
        shards = self.steps[-1].shards
        # whether a file is a duplicate depends on all other files
        everything = hashlib.sha256("\n".join(str(shard.relative_to(self.work)) for shard in shards).encode())
        identity = everything.hexdigest()[:8] + ("-layout" if layout else "")
        found = self.work / f"{name}-{identity}.npz"
        if shards and not found.exists():
            self.executor.duplicates(shards, ngram_size, threshold, layout).save(found)
        self._apply(name, partial(drop, duplicates=found), identity)
        self.steps[-1] = replace(self.steps[-1], seconds=time.perf_counter() - started)

    def _common_words(self) -> Path:
        """Write the words that occur in many packages, one per line, and return the path."""
        path = self.work / f"words-{self.steps[-1].shards[0].parent.name}.txt"
        if not path.exists():
            words = common_words(file for shard in self.steps[-1].shards for file in read_shard(shard))
            with replacing(path) as out:
                out.write("\n".join(words).encode())
        return path

    def _filter(self, name: FilterName) -> Filter:
        if name == "stars":
            return few_stars
        if name == "comments":
            return oddly_commented
        path = self.work / f"fertility-{self.steps[-1].shards[0].parent.name}.json"
        if not path.exists():
            train_tokenizer(self.steps[-1].shards, FERTILITY_VOCABULARY).save(path)
        return partial(infertile_by, path)


def not_drawn(files: Sequence[SourceFile], share: float) -> list[str | None]:
    """A filter that keeps the fraction ``share`` of the files, chosen by hash, so that every run chooses the same."""
    return [None if file.id < share * 2**63 else "not in the sample" for file in files]


def clean(files: Sequence[SourceFile], opt_out: Collection[str]) -> Outcome:
    """Apply the base filters and decontamination, and redact the remaining files."""
    filters: list[Filter] = [
        unreadable,
        too_short,
        generated,
        unlicensed,
        partial(opted_out, names=opt_out),
        contaminated,
    ]
    kept, removed = sift(files, filters)
    redacted: dict[str, int] = {}
    for index, file in enumerate(kept):
        text, counts = redact(file.text, file.language)
        kept[index] = replace(file, text=text)
        for kind, count in counts.items():
            redacted[kind] = redacted.get(kind, 0) + count
    return Outcome(kept, removed, redacted)


def keep_passing(files: Sequence[SourceFile], filter_: Filter) -> Outcome:
    return Outcome(*sift(files, [filter_]))


def infertile_by(tokenizer_path: Path, files: Sequence[SourceFile]) -> list[str | None]:
    """The fertility filter with a tokenizer from a file, loaded once per process."""
    return infertile(files, _load_tokenizer(tokenizer_path))


def not_simple_by(words_path: Path, files: Sequence[SourceFile]) -> list[str | None]:
    """The filter for small models with common words from a file, loaded once per process."""
    return not_simple(files, _load_words(words_path))


@lru_cache
def _load_words(path: Path) -> frozenset[str]:
    return frozenset(path.read_text().split("\n"))


@lru_cache
def _load_tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.load(path)
