"""The models being served: several revisions at once, within a budget of memory."""

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
from app.metrics import Metrics
from app.repositories import Repositories
from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine, EngineBusy
from santacoder.engine.events import Finished
from santacoder.engine.opening import choose_device, open_engine, torch_dtype
from santacoder.engine.request import CompletionRequest
from santacoder.engine.sequence import Sequence
from santacoder.engine.torch_runner import memory_needed
from santacoder.sampling import SamplingParams

_PROBE = CompletionRequest("x", sampling=SamplingParams(max_new_tokens=1, temperature=0))

Report = Callable[[float], None]
"""Is told which share of a model has been loaded, from 0 to 1."""


class NoRoom(CheckpointError):
    """The models in use leave no memory for another one; later they may."""


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
    def name(self) -> str:
        return f"{self.repo_id}@{self.revision}"

    @property
    def runner_label(self) -> str:
        runner = self.engine.runner
        return f"{runner.name}, {runner.precision}, {runner.device}"


@dataclass
class _Resident:
    """A model in memory; ``engine`` is None while it is being loaded, ``users`` counts who holds it."""

    name: str
    n_bytes: int
    engine: Engine | None = None
    notices: tuple[str, ...] = ()
    users: int = 0


class Models:
    """Engines by commit. The one used longest ago goes first when room is needed, but none that is in use.

    A revision that cannot be loaded leaves those that are loaded as they are. One whose engine has died is loaded
    again when it is asked for.
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
        """The engine of a revision, loaded if needed. Call ``release`` of what is returned when done with it.

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

    def engines(self) -> list[tuple[str, Engine]]:
        """The engines in memory, by ``repo@commit``."""
        with self._changed:
            residents = list(self._residents.values())
        return [(resident.name, resident.engine) for resident in residents if resident.engine is not None]

    def problem(self) -> str | None:
        """A sentence that says which model cannot be run and why; None where all can."""
        sentences = [f"{name}: {engine.problem}" for name, engine in self.engines() if engine.problem]
        return " ".join(sentences) or self._mending_problem

    def mend(self) -> None:
        """Load the server's own model again if its engine has died, and try those again that could not be run.

        Of these, one that still cannot be is dropped where nobody holds it: whoever asks for it again is told, and the
        server is well without it.
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
                with suppress(EngineBusy):  # whatever is waiting for it tries it as well
                    any(isinstance(event, Finished) for event in engine.submit(_PROBE))
            if engine.problem and engine is not own:
                self._drop(engine)

    def drain(self, seconds: float) -> None:
        """Take no more requests, and wait until those under way have ended; after ``seconds`` they are ended."""
        self._is_draining = True
        deadline = time.monotonic() + seconds
        engines = [engine for _, engine in self.engines()]
        for engine in engines:
            engine.drain(0)
        for engine in engines:
            engine.drain(max(0, deadline - time.monotonic()))
        for engine in engines:
            engine.close()  # so that whoever still waits is told, while there are connections

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
        """The model's place in memory, with one user more; whoever finds it without an engine has to load it."""
        dropped: list[Engine] = []
        with self._changed:
            # somebody else may be loading it; if that fails, it is gone again
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
        # the end of an engine takes as long as what it does now, and the event loop may want the lock meanwhile
        for engine in dropped:
            engine.close()
        return held

    def _forget_dead(self, snapshot: Path) -> None:
        resident = self._residents.get(snapshot)
        if resident and resident.engine and not resident.engine.alive:
            del self._residents[snapshot]  # those who hold it have been told that it has ended

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
        """Drop unused models until ``n_bytes`` more fit into the budget; their engines are to be closed."""
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
