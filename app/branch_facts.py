"""Facts about the branches of a model, only from files on this machine: the Hub is not queried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.errors import sentence_for
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError, Commit, RevisionScore
from santacoder.checkpoints import store as local
from santacoder.config import SantaCoderConfig
from santacoder.experiments import EXPERIMENTS, PUBLISHED, Experiment, experiment
from train.evaluate.results.published import published_scores

Curve = list[tuple[int, float]]
"""Pairs of step and value."""


@dataclass(frozen=True)
class Branch:
    """A branch. ``experiment`` is the paper's experiment that it repeats; ``config`` is None if its files are not here.

    ``curves`` are by metric; ``commits`` are oldest first, one per state of the weights. ``problem`` says why commits
    are missing. ``is_published`` tells the paper's own branches from those that repeat them.
    """

    name: str
    experiment: Experiment | None
    config: SantaCoderConfig | None = None
    scores: list[RevisionScore] = field(default_factory=list)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    problem: str = ""
    is_published: bool = False

    @property
    def newest(self) -> Commit | None:
        return self.commits[-1] if self.commits else None


def read_branches(repo_id: str, store: Path) -> list[Branch]:
    """The branches of a repository: the paper's in its order, then the others.

    Raises:
        CheckpointError: there is no such repository on this machine.
    """
    folder = checkpoints.folder_with(repo_id, store=store)
    names = _names(repo_id, folder)
    if not names:
        raise CheckpointError(f"There are no files of {repo_id!r} on this machine; choose another model above.")
    repeats_the_paper = repo_id == PUBLISHED or any(name in EXPERIMENTS and name != "final" for name in names)
    branches = [_branch(repo_id, name, folder, experiment(name) if repeats_the_paper else None) for name in names]
    order = list(EXPERIMENTS)
    return sorted(branches, key=lambda branch: order.index(branch.experiment.branch) if branch.experiment else 99)


def with_several_branches(repo_ids: Iterable[str], store: Path) -> list[str]:
    """Those of ``repo_ids`` whose branches can be compared."""
    folders = {repo_id: checkpoints.folder_with(repo_id, store=store) for repo_id in repo_ids}
    return [repo_id for repo_id, folder in folders.items() if len(_names(repo_id, folder)) > 1]


def distinct_weights(newest_first: Iterable[Commit]) -> list[Commit]:
    """Commits oldest first; of commits with the same weights (which added scores or graphs), only the newest."""
    kept: list[Commit] = []
    for commit in newest_first:
        if not kept or _state(kept[-1]) != _state(commit) or commit.step is None:
            kept.append(commit)
    return kept[::-1]


def stages(oldest_first: Sequence[Commit]) -> list[int]:
    """The number of each commit's stage of training, from 1. A further training counts its steps from 0 again."""
    numbers: list[int] = []
    before = 0
    for commit in oldest_first:
        step = before if commit.step is None else commit.step
        numbers.append(numbers[-1] + (step < before) if numbers else 1)
        before = step
    return numbers


def _names(repo_id: str, folder: Path | None) -> list[str]:
    """The branches in ``folder``, without ``final`` if it is ``main``; of the published model, the paper's first."""
    known = local.branches(folder, repo_id) if folder else {}
    names = [name for name in known if not (name == "final" and known.get("main") == known[name])]
    if repo_id != PUBLISHED:
        return names
    return list(dict.fromkeys(["main" if name == "final" else name for name in EXPERIMENTS] + names))


def _branch(repo_id: str, name: str, folder: Path | None, repeated: Experiment | None) -> Branch:
    is_published = repo_id == PUBLISHED
    branch = Branch(name, repeated, scores=published_scores(name) if is_published else [], is_published=is_published)
    sha = local.find(folder, repo_id, name) if folder else None
    if folder is None or sha is None:
        return branch
    snapshot = local.snapshot(folder, repo_id, sha)
    try:
        commits = distinct_weights(local.log(folder, repo_id, name, sha))
        return replace(
            branch,
            config=checkpoints.read_config(snapshot),
            scores=checkpoints.read_scores(snapshot) or branch.scores,
            curves=_curves(snapshot, commits),
            commits=commits,
        )
    except CheckpointError as error:
        return replace(branch, problem=sentence_for(error))


def _curves(snapshot: Path, commits: list[Commit]) -> dict[str, Curve]:
    """The curves recorded in training; for other metrics, the values of the commits."""
    found: dict[str, Curve] = {}
    for commit in commits:
        loss = {} if commit.validation_loss is None else {"validation_loss": commit.validation_loss}
        for name, value in {**loss, **commit.metrics}.items():
            if commit.step is not None:
                found.setdefault(name, []).append((commit.step, value))
    drawn = {name: curve for name, curve in checkpoints.read_curves(snapshot).items() if len(curve) > 1}
    return {**found, **drawn}


def _state(commit: Commit) -> tuple[int | None, int | None, float | None]:
    return commit.step, commit.tokens, commit.validation_loss
