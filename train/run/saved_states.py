"""Saved states of a run, written while training continues and readable by any number of processes.

A state is a folder ``step-00001200`` in the format of ``torch.distributed.checkpoint``. It is written under a temporary
name and renamed when it is complete, so that a kill at any time leaves the previous state intact.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from santacoder.atomic import sync_folder
from santacoder.errors import UserError
from train.core.distributed import World
from train.core.step import Training
from train.run.folder import complete_states, state_name, steps_done

_COPY_TO_CPU = StagingOptions(
    use_pinned_memory=False, use_shared_memory=False, use_async_staging=False, use_non_blocking_copy=False
)


class SavedStates:
    """The saved states in ``folder``, of which the newest ``keep`` are kept."""

    def __init__(self, folder: Path, keep: int, world: World) -> None:
        self._folder = folder
        self._keep = keep
        self._world = world
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        # separate group: messages of the writing thread must not mix with those of training
        self._group = dist.new_group(backend="gloo") if world.size > 1 else None

    def save(self, step: int, training: Training) -> None:
        """Copy the state after ``step`` steps and write it in the background.

        Raises:
            OSError: the previous state could not be written; earlier ones are intact.
        """
        self.finish()
        stager = DefaultStager(_COPY_TO_CPU)
        copied = stager.stage({"step": torch.tensor(step), **tensors(training)})
        stager.close()
        assert isinstance(copied, dict)
        self._writing = self._thread.submit(self._write, step, copied)

    def finish(self) -> None:
        """Wait until the last state is written.

        Raises:
            OSError: it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def restore(self, training: Training) -> int:
        """Load the newest readable state and return its number of steps; 0 if no state has been saved. Incomplete
        states, which a killed run leaves, are removed.

        Raises:
            UserError: states exist, but none can be read.
        """
        if self._world.is_first:
            for incomplete in self._folder.glob(".step-*.incomplete"):
                shutil.rmtree(incomplete)
        states = complete_states(self._folder)
        for state in reversed(states):
            try:
                return self._load(state, training)
            except (CheckpointException, OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
                print(f"{state} is damaged ({_cause(error)}); trying the previous one.", file=sys.stderr)
        if states:
            raise UserError(f"None of the states in {self._folder} can be read: start again with another --output.")
        return 0

    def _load(self, folder: Path, training: Training) -> int:
        saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
        _make_room_for_moments(training, saved)
        state = {"step": torch.tensor(0), **tensors(training)}
        # a run that switches to fp16 starts with a fresh scale
        scaled_before = "scaler.scale" in saved
        state = {name: tensor for name, tensor in state.items() if scaled_before or not name.startswith("scaler.")}
        dcp.load(state, checkpoint_id=folder, no_dist=self._world.size == 1)
        if training.scaler.is_enabled() and scaled_before:
            growth = int(state["scaler.growth_tracker"])
            scaled = {"scale": state["scaler.scale"].item(), "_growth_tracker": growth}
            training.scaler.load_state_dict({**training.scaler.state_dict(), **scaled})
        return int(state["step"])

    def _write(self, step: int, state: dict[str, Tensor]) -> None:
        complete = self._folder / state_name(step)
        incomplete = complete.with_name(f".{complete.name}.incomplete")
        try:
            dcp.save(state, checkpoint_id=incomplete, process_group=self._group, no_dist=self._group is None)
            if self._world.is_first:
                shutil.rmtree(complete, ignore_errors=True)
                incomplete.replace(complete)
                sync_folder(self._folder)
                for other in self._superfluous(step):
                    shutil.rmtree(other)
        except (CheckpointException, RuntimeError) as error:  # torch reports failed writes this way
            shutil.rmtree(incomplete, ignore_errors=True)
            raise OSError(f"the state after {step:,} steps could not be written: {_cause(error)}") from error

    def _superfluous(self, step: int) -> list[Path]:
        """The states to delete once the one after ``step`` steps is written.

        States with more steps are damaged, or the run would have continued from them, so they are deleted too.
        """
        states = complete_states(self._folder)
        readable = [state for state in states if steps_done(state) <= step]
        return [*readable[: -self._keep], *states[len(readable) :]]


def tensors(training: Training) -> dict[str, Tensor]:
    """All tensors needed to resume a run exactly, by name."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in training.model.named_parameters()}
    state = {f"model.{name}": parameter.detach() for parameter, name in names.items()}
    for optimizer in training.optimizers:
        for parameter, moments in optimizer.state.items():
            state.update({f"optimizer.{names[parameter]}.{key}": moment for key, moment in moments.items()})
    if training.scaler.is_enabled():
        scaler = training.scaler.state_dict()
        state["scaler.scale"] = torch.tensor(scaler["scale"])
        state["scaler.growth_tracker"] = torch.tensor(scaler["_growth_tracker"])
    return state


def _make_room_for_moments(training: Training, saved: Iterable[str]) -> None:
    """Give the optimisers zeros of the saved shapes: an optimiser has no state before its first step."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in training.model.named_parameters()}
    for optimizer in training.optimizers:
        for parameter in _parameters(optimizer):
            prefix = f"optimizer.{names[parameter]}."
            for key in (name.removeprefix(prefix) for name in saved if name.startswith(prefix)):
                empty = torch.zeros((), device=parameter.device) if key == "step" else torch.zeros_like(parameter)
                optimizer.state[parameter][key] = empty.detach()


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _cause(error: BaseException) -> str:
    """The innermost message of nested errors."""
    if isinstance(error, CheckpointException) and error.failures:
        first = next(iter(error.failures.values()))
        return str(first[0] if isinstance(first, tuple) else first)
    return str(error)
