"""The models being served: loaded when first asked for, the least recently used one dropped first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch

from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine
from santacoder.engine.torch_runner import TorchRunner

MAX_RESIDENT = 3


@dataclass(frozen=True)
class ServedModel:
    """A loaded revision; ``sha`` is the exact commit."""

    repo_id: str
    revision: str
    sha: str
    engine: Engine

    @property
    def label(self) -> str:
        runner = self.engine.runner
        return f"{self.repo_id}@{self.revision} ({runner.name}, {runner.precision}, {runner.device})"


class Models:
    """Engines by commit. A revision that cannot be loaded leaves those that are loaded as they are."""

    def __init__(self, settings: Settings) -> None:
        self._store = settings.store
        self._runner = settings.runner
        self._device = _choose_device(settings.device)
        self._engines: OrderedDict[Path, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def repositories(self) -> list[str]:
        return checkpoints.repositories(self._store)

    def branches(self, repo_id: str) -> list[str]:
        """Branch names, ``main`` first; none for a model that is not in the store."""
        try:
            return list(checkpoints.branches(repo_id, store=self._store))
        except CheckpointError:
            return []

    def get(self, repo_id: str, revision: str) -> ServedModel:
        """The engine of a revision, loading it if needed.

        Raises:
            CheckpointError: there is no such revision, or its files are damaged.
        """
        snapshot = checkpoints.resolve(repo_id, revision, store=self._store)
        with self._lock:
            if snapshot not in self._engines:
                self._engines[snapshot] = self._load(snapshot)
            self._engines.move_to_end(snapshot)
            self._drop_unused()
            return ServedModel(repo_id, revision, snapshot.name, self._engines[snapshot])

    def close(self) -> None:
        """End all engines."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _load(self, snapshot: Path) -> Engine:
        if self._runner == "onnx":
            raise CheckpointError(
                f"{snapshot} has no ONNX graph that this server can run; start it with --runner torch or auto."
            )
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        model, tokenizer = checkpoints.load(snapshot, dtype=dtype, device=self._device)
        return Engine(TorchRunner(model), tokenizer)

    def _drop_unused(self) -> None:
        """Close the engines used longest ago, but none that is at work."""
        for snapshot, engine in list(self._engines.items())[:-MAX_RESIDENT]:
            if engine.n_free_slots == engine.runner.n_slots:
                del self._engines[snapshot]
                engine.close()


def _choose_device(device: str) -> str:
    """
    Raises:
        CheckpointError: a GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("--device cuda was asked for, but PyTorch finds no GPU here; use --device cpu or auto.")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
