"""The models being served: several revisions at once, within a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine
from santacoder.engine.opening import choose_device, open_engine, torch_dtype
from santacoder.engine.torch_runner import memory_needed

Report = Callable[[float], None]
"""Is told which share of a model has been loaded, from 0 to 1."""


@dataclass(frozen=True)
class ServedModel:
    """A loaded revision, which stays in memory until ``release`` is called; ``sha`` is the exact commit.

    ``notices`` say why it is not served by the runner that was the first choice.
    """

    repo_id: str
    revision: str
    sha: str
    engine: Engine
    notices: tuple[str, ...]
    release: Callable[[], None]

    @property
    def label(self) -> str:
        runner = self.engine.runner
        return f"{self.repo_id}@{self.revision} ({runner.name}, {runner.precision}, {runner.device})"


@dataclass
class _Resident:
    """A model in memory; ``engine`` is None while it is being loaded, ``users`` counts who holds it."""

    n_bytes: int
    engine: Engine | None = None
    notices: tuple[str, ...] = ()
    users: int = 0


class Models:
    """Engines by commit. The one used longest ago goes first when room is needed, but none that is in use.

    A revision that cannot be loaded leaves those that are loaded as they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._store = settings.store
        self._runner = settings.runner
        self._device = choose_device(settings.device)
        self._budget = int(settings.model_memory * 1e9)
        self._residents: OrderedDict[Path, _Resident] = OrderedDict()
        self._changed = threading.Condition()

    def acquire(self, repo_id: str, revision: str, report: Report = lambda share: None) -> ServedModel:
        """The engine of a revision, loaded if needed. Call ``release`` of what is returned when done with it.

        Raises:
            CheckpointError: there is no such revision, its files are damaged, or it does not fit.
        """
        snapshot = checkpoints.resolve(repo_id, revision, store=self._store)
        resident = self._hold(snapshot)
        try:
            if resident.engine is None:
                resident.engine, resident.notices = open_engine(
                    snapshot, device=self._device, runner=self._runner, report=report
                )
        except BaseException:
            with self._changed:
                del self._residents[snapshot]
            raise
        finally:
            with self._changed:
                self._changed.notify_all()
        return ServedModel(
            repo_id, revision, snapshot.name, resident.engine, resident.notices, partial(self._release, resident)
        )

    def close(self) -> None:
        """End all engines."""
        with self._changed:
            for resident in self._residents.values():
                if resident.engine is not None:
                    resident.engine.close()
            self._residents.clear()

    def _hold(self, snapshot: Path) -> _Resident:
        """The model's place in memory, with one user more; whoever finds it without an engine has to load it."""
        with self._changed:
            # somebody else may be loading it; if that fails, it is gone again
            self._changed.wait_for(
                lambda: snapshot not in self._residents or self._residents[snapshot].engine is not None
            )
            if snapshot not in self._residents:
                n_bytes = self._memory_needed(snapshot)
                self._make_room(n_bytes)
                self._residents[snapshot] = _Resident(n_bytes)
            self._residents.move_to_end(snapshot)
            self._residents[snapshot].users += 1
            return self._residents[snapshot]

    def _release(self, resident: _Resident) -> None:
        with self._changed:
            resident.users -= 1

    def _make_room(self, n_bytes: int) -> None:
        """Drop unused models until ``n_bytes`` more fit into the budget."""
        in_use = sum(resident.n_bytes for resident in self._residents.values() if resident.users)
        if in_use + n_bytes > self._budget:
            raise CheckpointError(
                f"The model needs {n_bytes / 1e9:.1f} GB, but of the {self._budget / 1e9:.1f} GB for models "
                f"{in_use / 1e9:.1f} GB are in use; try again later, or start the server with a larger --model-memory."
            )
        for snapshot, resident in list(self._residents.items()):
            held = sum(other.n_bytes for other in self._residents.values())
            if held + n_bytes <= self._budget:
                return
            if not resident.users:
                del self._residents[snapshot]
                assert resident.engine is not None
                resident.engine.close()

    def _memory_needed(self, snapshot: Path) -> int:
        return memory_needed(checkpoints.read_config(snapshot), torch_dtype(self._device))
