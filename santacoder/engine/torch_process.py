"""Runs the model with PyTorch in a process of its own, which gives back all of its memory when it ends.

A process that has imported PyTorch keeps 0.2 GB for it, and cannot unload it. So a server that only needs PyTorch until
its graph is written leaves that to another process.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import santacoder
from santacoder.engine.runner import Logits, PrefillTogether, RunnerEnded, SavedSlot, Step
from santacoder.errors import CheckpointError

_CODE_FOLDER = Path(santacoder.__file__).resolve().parents[1]
_SECONDS_TO_END = 5
_KILLED = -9


class Ready(NamedTuple):
    """What the process says once the model is loaded."""

    precision: str
    n_slots: int
    n_positions: int


class Failure(NamedTuple):
    """A call that has failed, or a model that cannot be loaded. ``sentence`` says why."""

    sentence: str


class TorchProcess:
    """A :class:`santacoder.engine.runner.Runner` that passes each call to ``santacoder.engine.torch_worker``.

    Weights are bf16 where this processor reads them faster so. Messages are pickled: the two processes are one program.

    Args:
        snapshot: the folder of the revision.
        n_slots: the number of sequences; None for as many as suit the memory.
        report: called with the fraction of the weights that has been read, from 0 to 1.

    Raises:
        CheckpointError: the snapshot's files are damaged, or the process has ended.
    """

    name = "torch"
    device = "cpu"
    prefill_together: PrefillTogether | None = None

    def __init__(self, snapshot: Path, n_slots: int | None, report: Callable[[float], None]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "santacoder.engine.torch_worker", str(snapshot), str(n_slots or 0)],
            cwd=_CODE_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C is for the server, which ends this process
        )
        try:
            while isinstance(said := self._receive(), float):
                report(said)
        except RunnerEnded as error:
            self.close()
            raise CheckpointError(f"{snapshot.name[:8]} could not be loaded. {error}") from error
        except BaseException:
            self.close()
            raise
        if isinstance(said, Failure):
            self.close()
            raise CheckpointError(said.sentence)
        self.precision, self.n_slots, self.n_positions = said

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        return self._call("prefill", slot, list(token_ids), start, n_logits)

    def decode(self, steps: Sequence[Step]) -> Logits:
        return self._call("decode", list(steps))

    def copy(self, source: int, target: int, length: int) -> None:
        self._call("copy", source, target, length)

    def save(self, slot: int, length: int) -> SavedSlot:
        return self._call("save", slot, length)

    def restore(self, slot: int, saved: SavedSlot) -> None:
        self._call("restore", slot, saved)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was not sent any more
                pipe.close()  # type: ignore[union-attr]

    def _call(self, method: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        try:
            pickle.dump((method, arguments), self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error
        result = self._receive()
        if isinstance(result, Failure):
            raise RuntimeError(result.sentence)
        return result

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._ended() from error

    def _ended(self) -> RunnerEnded:
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # it runs, but what it says cannot be read
            self._process.kill()
            code = self._process.wait()
        why = " for lack of memory, probably" if code == _KILLED else ""
        return RunnerEnded(f"The process that computes with PyTorch has ended{why} (exit code {code}).")
