"""The pool of loaded models: several revisions at once, within a memory budget."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.errors import without_paths
from app.observability.metrics import Metrics
from app.repositories import Repositories
from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine, EngineBusy
from santacoder.engine.events import Finished
from santacoder.engine.loader import choose_device, open_engine, torch_dtype
from santacoder.engine.request import CompletionRequest
from santacoder.engine.sequence import Sequence
from santacoder.engine.torch_runner import memory_needed
from santacoder.sampling import SamplingParams

_PROBE = CompletionRequest("x", sampling=SamplingParams(max_new_tokens=1, temperature=0))

Report = Callable[[float], None]
"""Called with the share of a model that has been loaded, from 0 to 1."""


class NoRoom(CheckpointError):
    """The models in use leave no memory for another one at the moment."""


@dataclass(frozen=True)
class ServedModel:
    """A loaded revision, which stays in memory until ``release`` is called; ``sha`` is the exact commit.

    ``notices`` say why the preferred runner is not used.
    """

    repo_id: str
    revision: str
    sha: str
    engine: Engine
    notices: tuple[str, ...]
    release: Callable[[], None]

    @property
    def name(self) -> str:
        return f"{self.repo_id}@{self.revision}"

    @property
    def runner_label(self) -> str:
        runner = self.engine.runner
        return f"{runner.name}, {runner.precision}, {runner.device}"


@dataclass
class _Resident:
    """A model in memory; ``engine`` is None while it is loading, ``users`` is its reference count."""

    name: str
    n_bytes: int
    engine: Engine | None = None
    notices: tuple[str, ...] = ()
    users: int = 0


class Models:
    """Engines by commit. When memory is needed, the least recently used model that is not in use is dropped first.

    A revision that cannot be loaded does not affect the others. A model whose engine has died is loaded again on the
    next request.
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._metrics.watch(self)
        self.repositories = Repositories(settings)
        self._runner = settings.runner
        self._device = choose_device(settings.device)
        self._mending_problem: str | None = None
        self._budget = int(settings.model_memory * 1e9)
        self._residents: OrderedDict[Path, _Resident] = OrderedDict()
        self._changed = threading.Condition()
        self._is_draining = False

    def acquire(self, repo_id: str, revision: str, report: Report = lambda share: None) -> ServedModel:
        """The engine of a revision, loaded if needed. Call ``release`` on the result when done.

        Raises:
            CheckpointError: there is no such revision, its files are damaged, or it does not fit.
        """
        if self._is_draining:
            raise NoRoom("The server is being stopped; try again in a moment.")
        snapshot = self.repositories.snapshot(repo_id, revision)
        resident = self._hold(snapshot, f"{repo_id}@{snapshot.name[:8]}")
        try:
            if resident.engine is None:
                resident.engine, resident.notices = open_engine(
                    snapshot,
                    device=self._device,
                    runner=self._runner,
                    max_waiting=self._settings.max_waiting,
                    exact=self._settings.exact,
                    on_end=self._count_text,
                    report=report,
                )
                self._metrics.loads.labels(resident.name, "loaded").inc()
        except BaseException:
            self._metrics.loads.labels(resident.name, "failed").inc()
            with self._changed:
                del self._residents[snapshot]
            raise
        finally:
            with self._changed:
                self._changed.notify_all()
        return ServedModel(
            repo_id,
            revision,
            snapshot.name,
            resident.engine,
            tuple(map(without_paths, resident.notices)),
            partial(self._release, resident),
        )

    def loaded(self, repo_id: str, revision: str, *, may_load: bool = False) -> str | None:
        """The sha of the revision if it is in memory, or if ``may_load``; otherwise None.

        Raises:
            CheckpointError: there is no such revision on this machine.
        """
        self.repositories.require(repo_id)
        snapshot = checkpoints.resolve(repo_id, revision, store=self._settings.store, download=False)
        with self._changed:
            resident = self._residents.get(snapshot)
            is_loaded = resident is not None and resident.engine is not None
        return snapshot.name if is_loaded or may_load else None

    def engines(self) -> list[tuple[str, Engine]]:
        """The engines in memory, by ``repo@commit``."""
        with self._changed:
            residents = list(self._residents.values())
        return [(resident.name, resident.engine) for resident in residents if resident.engine is not None]

    def problem(self) -> str | None:
        """Which model cannot be run and why; None if all can."""
        sentences = [f"{name}: {engine.problem}" for name, engine in self.engines() if engine.problem]
        return " ".join(sentences) or self._mending_problem

    def mend(self) -> None:
        """Reload the server's own model if its engine has died, and retry models that could not be run.

        A model that still fails is dropped if it is not in use: the next request for it gets the error, and the server
        is healthy without it.
        """
        own = None
        try:
            served = self.acquire(self._settings.model, self._settings.revision)
            own = served.engine
            served.release()
            self._mending_problem = None
        except CheckpointError as error:
            self._mending_problem = str(error)
        for _, engine in self.engines():
            if engine.problem and engine.alive:
                with suppress(EngineBusy):  # the waiting requests retry it as well
                    any(isinstance(event, Finished) for event in engine.submit(_PROBE))
            if engine.problem and engine is not own:
                self._drop(engine)

    def drain(self, seconds: float) -> None:
        """Accept no more requests, and wait for those in progress; after ``seconds`` they are ended."""
        self._is_draining = True
        deadline = time.monotonic() + seconds
        engines = [engine for _, engine in self.engines()]
        for engine in engines:
            engine.drain(0)
        for engine in engines:
            engine.drain(max(0, deadline - time.monotonic()))
        for engine in engines:
            engine.close()  # so that waiting clients get the error while their connections are open

    def close(self) -> None:
        """End all engines."""
        engines = [engine for _, engine in self.engines()]
        with self._changed:
            self._residents.clear()
        for engine in engines:
            engine.close()

    def _count_text(self, sequence: Sequence) -> None:
        self._metrics.count_text(sequence, time.perf_counter())

    def _hold(self, snapshot: Path, name: str) -> _Resident:
        """The model's entry, with one more user; a caller that finds no engine in it must load the model."""
        dropped: list[Engine] = []
        with self._changed:
            # another thread may be loading it; if that fails, the entry is gone again
            self._changed.wait_for(
                lambda: snapshot not in self._residents or self._residents[snapshot].engine is not None
            )
            self._forget_dead(snapshot)
            if snapshot not in self._residents:
                n_bytes = self._memory_needed(snapshot)
                dropped = self._make_room(n_bytes)
                self._residents[snapshot] = _Resident(name, n_bytes)
            self._residents.move_to_end(snapshot)
            self._residents[snapshot].users += 1
            held = self._residents[snapshot]
        # an engine stops only after its current step, and the event loop may need the lock meanwhile
        for engine in dropped:
            engine.close()
        return held

    def _forget_dead(self, snapshot: Path) -> None:
        resident = self._residents.get(snapshot)
        if resident and resident.engine and not resident.engine.alive:
            del self._residents[snapshot]  # its users have already received the error

    def _drop(self, engine: Engine) -> None:
        with self._changed:
            unused = [key for key, one in self._residents.items() if one.engine is engine and not one.users]
            for snapshot in unused:
                del self._residents[snapshot]
        if unused:
            engine.close()

    def _release(self, resident: _Resident) -> None:
        with self._changed:
            resident.users -= 1

    def _make_room(self, n_bytes: int) -> list[Engine]:
        """Drop unused models until ``n_bytes`` more fit into the budget; returns their engines, to be closed."""
        dropped: list[Engine] = []
        in_use = sum(resident.n_bytes for resident in self._residents.values() if resident.users)
        if in_use + n_bytes > self._budget:
            raise NoRoom(
                f"The model needs {n_bytes / 1e9:.1f} GB, but of the {self._budget / 1e9:.1f} GB for models "
                f"{in_use / 1e9:.1f} GB are in use; try again later, or start the server with a larger --model-memory."
            )
        for snapshot, resident in list(self._residents.items()):
            held = sum(other.n_bytes for other in self._residents.values())
            if held + n_bytes <= self._budget:
                break
            if not resident.users:
                del self._residents[snapshot]
                assert resident.engine is not None
                dropped.append(resident.engine)
        return dropped

    def _memory_needed(self, snapshot: Path) -> int:
        return memory_needed(checkpoints.read_config(snapshot), torch_dtype(self._device))
