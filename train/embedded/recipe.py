"""The stages that produce the embedded models, in order, each an independent command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from santacoder.experiments import EXPERIMENTS, Experiment
from train.embedded.presets import HELD_OUT, Preset

NANO, MINI = "santacoder/nano", "santacoder/mini"
PRETRAINING = "pretraining"  # the branch of mini's long run, before its learning rate falls
REPEATED = ("fim", "stars")  # the rows of the ablation with more than one seed
SEEDS = (1, 2)
# final comes first, because the others use its tokenizer
_DATA_VARIANTS = ("final", "fim", "stars", "fertility", "comments", "dedup-alt")
_COMMITS_BEFORE_THE_LAST = 2
# larger windows than usual, so that both indexes together are smaller than 25 MB; runs of 114 and 178 tokens are found
# for certain
_INDEX_WINDOWS = {NANO: 96, MINI: 160}


@dataclass(frozen=True)
class Stage:
    """A stage: a command, as module and arguments, and the command ``go_on`` that continues it.

    ``go_on`` is used if the folder ``states`` has a complete state of a training run.
    """

    name: str
    command: tuple[str, ...]
    states: Path | None = None
    go_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A training run of nano: a branch, or the same with another seed, which is evaluated but not shipped."""

    experiment: Experiment
    seed: int = 0

    @property
    def branch(self) -> str:
        """The branch to publish to."""
        branch = "main" if self.experiment.branch == "final" else self.experiment.branch
        return branch if self.seed == 0 else f"{branch}-seed{self.seed}"

    @property
    def data(self) -> str:
        """The data variant to train on."""
        return self.experiment.branch if self.experiment.branch in _DATA_VARIANTS else "fim"


def nano_runs() -> list[Run]:
    """The runs of the eight branches, then those of the further seeds."""
    return [
        *(Run(experiment) for experiment in EXPERIMENTS.values()),
        *(Run(EXPERIMENTS[branch], seed) for branch in REPEATED for seed in SEEDS),
    ]


def stages(preset: Preset, out: Path, downloads: Path) -> list[Stage]:
    """All stages, working in the folder ``out``. The models are written to ``out/store``; the last stage copies
    them.
    """
    recipe = _Recipe(preset, out, downloads)
    return [*recipe.data(), *recipe.mini(), *recipe.nano(), *recipe.publications()]


@dataclass(frozen=True)
class _Recipe:
    preset: Preset
    out: Path
    downloads: Path
    store: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", self.out / "store")

    def data(self) -> Iterator[Stage]:
        tokenizer: tuple[object, ...] = ("--vocab-size", self.preset.nano_vocab_size)
        for variant in _DATA_VARIANTS:
            yield self._data(variant, variant, self.preset.nano_sample, *tokenizer)
            tokenizer = ("--tokenizer", self.out / "data" / "final" / "tokenizer.json")

    def mini(self) -> Iterator[Stage]:
        size, tokenizer = self.preset.mini_vocab_size, self.out / "data" / "mini" / "tokenizer.json"
        sample = self.preset.mini_sample
        yield self._data("mini", "final", sample, "--vocab-size", size)
        simple = self._data("mini-simple", "final", sample, "--tokenizer", tokenizer, "--simple")
        yield from self._timed_mini(simple) if self.preset.mini_minutes else self._long_mini(simple)
        export, measure = self._measuring("mini", MINI, "main", "mini")
        yield export
        yield _stage(
            "humaneval-mini-main", "train.evaluate", "humaneval", MINI, "--store", self.store, "--runner", "auto",
            "--device", self.preset.device, "--samples", 1, "--temperature", 0.2, "--max-new-tokens", 128,
            "--output", self.out / "scores" / "mini-main",
        )  # fmt: skip
        yield measure  # last, because it publishes the scores
        yield self._index(MINI, "mini")

    def _timed_mini(self, simple: Stage) -> Iterator[Stage]:
        """Train for some minutes, from one file, so that the stage can run on another machine."""
        carried, weights = self.out / "carried.zip", self.out / "timed"
        yield simple
        folders = self.out / "data" / "mini", carried, "--simple", self.out / "data" / "mini-simple"
        yield _stage("carry-mini", "train.embedded.carried", *folders)
        minutes = ("--minutes", self.preset.mini_minutes, "--device", self.preset.device)
        yield _stage("train-mini", "train.embedded.timed", carried, weights, *minutes)
        yield _stage("publish-mini", "train.embedded.parts", weights, "--store", self.store)

    def _long_mini(self, simple: Stage) -> Iterator[Stage]:
        start: tuple[object, ...] = ("--variant", "final", "--continue-published")
        yield self._training("mini-main", MINI, PRETRAINING, self.preset.mini, "mini", *start)
        yield simple
        start = ("--variant", "final", "--from", f"{MINI}@{PRETRAINING}")
        yield self._training("mini-simple", MINI, "main", self.preset.mini_simple, "mini-simple", *start)

    def nano(self) -> Iterator[Stage]:
        for run in nano_runs():
            steps = self.preset.nano["steps"] * run.experiment.length
            saves = -(-steps // (_COMMITS_BEFORE_THE_LAST + 1))
            settings = {**self.preset.nano, "steps": steps, "seed": run.seed, "save_every": saves}
            variant = ("--variant", run.experiment.branch)
            yield self._training(f"nano-{run.branch}", NANO, run.branch, settings, run.data, *variant)
            # fim has only the base filters, so its held-out files serve all branches
            yield from self._measuring("nano", NANO, run.branch, "fim", with_graph=run.seed == 0)
        # fim has only the base filters, so it has the training files of all branches
        yield self._index(NANO, "fim")

    def publications(self) -> Iterator[Stage]:
        yield _stage("ablation", "train.embedded.ablation", self.out)
        yield _stage("ship", "train.embedded.ship", self.store)

    def _data(self, name: str, variant: str, sample: float, *tokenizer: object) -> Stage:
        return _stage(
            f"data-{name}", "train.data", "--variant", variant, "--sample", sample,
            "--downloads", self.downloads, "--hold-out", *HELD_OUT, *tokenizer,
            "--out", self.out / "data" / name, "--work", self.out / "work",
        )  # fmt: skip

    def _index(self, repo: str, *data: str) -> Stage:
        """Build an attribution index of the model's training files, small enough to ship."""
        folder = f"attribution--{repo.replace('/', '--')}"
        return _stage(
            f"index-{repo.split('/')[1]}", "train.data", "index", *(self.out / "data" / name for name in data),
            "--compact", "--window", _INDEX_WINDOWS[repo], "--out", self.store / folder,
        )  # fmt: skip

    def _training(
        self, name: str, repo: str, branch: str, settings: dict[str, Any], data: str, *start: object
    ) -> Stage:
        run = self.out / "runs" / name
        common = (
            "--output", run, "--publish", repo, "--branch", branch, "--store", self.store, "--publish-saves",
        )  # fmt: skip
        flags = _flags({"device": self.preset.device, **settings})
        command = _stage(f"train-{name}", "train", "--data", self.out / "data" / data, *start, *flags, *common)
        return Stage(command.name, command.command, run / "states", _stage("", "train", *common, "--resume").command)

    def _measuring(
        self, model: str, repo: str, branch: str, held_out: str, *, with_graph: bool = True
    ) -> Iterator[Stage]:
        """Export the int8 graph and measure the scores, and publish both to the branch."""
        name = f"{model}-{branch}"
        if with_graph:
            yield _stage(f"export-{name}", "export", repo, "--revision", branch, "--store", self.store)
        yield _stage(
            f"measure-{name}", "train.embedded.measure", repo, branch, "--store", self.store,
            "--device", self.preset.device, "--held-out", self.out / "data" / held_out,
            "--megabytes", self.preset.held_out_megabytes, "--output", self.out / "scores" / name,
            "--tasks", self.preset.mini_tasks if repo == MINI else self.preset.nano_tasks,
        )  # fmt: skip


def _flags(settings: dict[str, Any]) -> Iterator[object]:
    """Convert settings to options of ``python -m train``."""
    for key, value in settings.items():
        yield "--" + key.replace("_", "-")
        if value is not True:
            yield value


def _stage(name: str, module: str, *arguments: object) -> Stage:
    return Stage(name, (module, *map(str, arguments)))
