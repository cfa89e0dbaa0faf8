"""What a run has published: whether a commit is there already, and continuing a run whose folder is lost.

A published commit has the weights and the step, but not the optimiser's moments: they begin at zero, as in a new run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from santacoder.checkpoints import load, read_config
from santacoder.checkpoints.store import Commit, read_commit, read_curves, read_ref, repo_folder, snapshot
from santacoder.errors import CheckpointError, UserError
from santacoder.model import SantaCoder
from train.config import TrainConfig
from train.run.folder import RunFolder

Curves = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class PublishedSave:
    """A published commit of a run: its name as REPO@SHA, the steps done then, and the metrics of its card."""

    name: str
    step: int
    curves: Curves

    @property
    def commit(self) -> str:
        return self.name.partition("@")[2]


def newest_save(repo_id: str, branch: str, config: TrainConfig, store: Path) -> PublishedSave | None:
    """The newest commit of ``branch``; None if the branch does not exist.

    Raises:
        CheckpointError: the commit is damaged.
        UserError: the commit cannot be of a run with this ``config``.
    """
    sha = read_ref(repo_folder(repo_id, store), branch)
    if sha is None:
        return None
    if config.lora_rank:  # its weights and its update are one in a commit
        raise UserError("--continue-published continues a training of all weights: omit --lora-rank.")
    folder = snapshot(store, repo_id, sha)
    if not (sha and folder.is_dir()):
        raise CheckpointError(f"The files of {repo_id}@{branch} ({sha}) are missing from {store}.")
    commit = read_commit(folder, branch)
    if commit.step is None or not (_is_saved_by(commit, config) and _fits(folder, config)):
        raise UserError(
            f"{repo_id}@{branch} was not published by a run with these settings, so they cannot continue it: omit "
            "--continue-published, or publish to another --branch."
        )
    return PublishedSave(f"{repo_id}@{sha}", commit.step, read_curves(folder))


def published_already(model: SantaCoder, step: int, repo_id: str, branch: str, store: Path) -> str | None:
    """The newest commit of ``branch``, if it is of ``step`` and has the weights of ``model`` as they are published."""
    sha = read_ref(repo_folder(repo_id, store), branch)
    if not sha:
        return None
    folder = snapshot(store, repo_id, sha)
    try:
        if read_commit(folder, branch).step != step:
            return None
        weights = load(folder, dtype=torch.bfloat16)[0].state_dict()
    except CheckpointError:  # the files are damaged, so the commit is worth another
        return None
    ours = {name: weight.to("cpu", torch.bfloat16) for name, weight in model.state_dict().items()}
    is_same = ours.keys() == weights.keys() and all(torch.equal(ours[name], weights[name]) for name in ours)
    return sha if is_same else None


def _is_saved_by(commit: Commit, config: TrainConfig) -> bool:
    """Whether a run with this ``config`` has published as many tokens after as many steps."""
    step = commit.step or 0
    return 0 < step <= config.steps and commit.tokens == step * config.tokens_per_step


def _fits(folder: Path, config: TrainConfig) -> bool:
    shape = read_config(folder)
    found = (shape.n_layer, shape.n_embd, shape.n_head, shape.multi_query, shape.n_positions)
    return found == (config.n_layer, config.n_embd, config.n_head, config.multi_query, config.sequence_length)


def recall_curves(save: PublishedSave, run: RunFolder) -> None:
    """Write the metrics of ``save``'s card to the run folder, so that later cards show the whole curve."""
    values: dict[int, dict[str, float]] = {}
    for name, points in save.curves.items():
        for steps_done, value in points:
            values.setdefault(steps_done - 1, {})[name] = value
    lines = [json.dumps({"step": step, **values[step]}) + "\n" for step in sorted(values)]
    run.metrics.write_text("".join(lines))
