"""The pool of loaded models: several revisions at once, within a memory budget."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.errors import without_paths
from app.memory import give_back
from app.model_opening import ModelOpening, Report, Stage, results_agree
from app.observability.metrics import Metrics
from app.repositories import Repositories
from app.settings import Settings
from app.transfer import Transfer
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine, EngineBusy
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.engine.sequence import Sequence
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams

log = logging.getLogger(__name__)

_SECONDS_TO_RETRY = 0.5
_STOPPING = "The server is being stopped; try again in a moment."
_PROBE = CompletionRequest("x", sampling=SamplingParams(max_new_tokens=1, temperature=0))


class NoRoom(CheckpointError):
    """The models in use leave no memory for another one at the moment."""


@dataclass(frozen=True)
class ServedModel:
    """A loaded revision, which stays in memory until ``release`` is called; ``sha`` is the exact commit.

    ``notices`` say why the preferred runner is not used, or how far its graph is.
    """

    repo_id: str
    revision: str
    sha: str
    engine: Engine
    read_notices: Callable[[], tuple[str, ...]]
    release: Callable[[], None]

    @property
    def notices(self) -> tuple[str, ...]:
        return self.read_notices()

    @property
    def name(self) -> str:
        return f"{self.repo_id}@{self.revision}"

    @property
    def runner_label(self) -> str:
        runner = self.engine.runner
        return f"{runner.name}, {runner.precision}, {runner.device}"


@dataclass
class _Resident:
    """A model in memory; ``engine`` is None while it is loading, ``users`` is its reference count.

    ``is_replaced`` means that a graph takes its place: it is dropped when its last user leaves.
    """

    name: str
    n_bytes: int
    engine: Engine | None = None
    notices: tuple[str, ...] = ()
    users: int = 0
    used: float = field(default_factory=time.monotonic)
    is_replaced: bool = False


class Models:
    """Engines by commit. When memory is needed, the least recently used model that is not in use is dropped first.

    A revision that cannot be loaded does not affect the others. A model whose engine has died is loaded again on the
    next request.

    On a CPU, a model of the Hub without a graph is served by PyTorch while its graph is written in another process.
    The graph then takes its place between two requests. If PyTorch would not fit, the request waits for the graph.
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._metrics.watch(self)
        self.repositories = Repositories(settings)
        self._mending_problem: str | None = None
        self._budget = int(settings.model_memory * 1e9)
        self._residents: OrderedDict[Path, _Resident] = OrderedDict()
        self._replaced: list[_Resident] = []
        self._changed = threading.Condition()
        self._is_draining = False
        self._is_resting = False
        self._opening = ModelOpening(settings, self._count_text)

    def acquire(self, repo_id: str, revision: str, report: Report = lambda stage: None) -> ServedModel:
        """The engine of a revision, loaded if needed. Call ``release`` on the result when done.

        Raises:
            CheckpointError: there is no such revision, its files are damaged, or it does not fit.
        """
        if self._is_draining:
            raise NoRoom(_STOPPING)
        download = Transfer()
        snapshot = self.repositories.snapshot(
            repo_id, revision, lambda here, total: report(Stage(here / total, download.described(here, total)))
        )
        return self._acquired(snapshot, repo_id, revision, report)

    def acquire_loaded(self, repo_id: str, revision: str) -> ServedModel | None:
        """Like :meth:`acquire`, but None if the model is not in memory."""
        with suppress(CheckpointError):  # acquire says why
            snapshot = self._here(repo_id, revision)
            if self._is_loaded(snapshot) and not self._is_draining:
                return self._acquired(snapshot, repo_id, revision)
        return None

    def _acquired(
        self, snapshot: Path, repo_id: str, revision: str, report: Report = lambda stage: None
    ) -> ServedModel:
        if (repo_id, revision) == (self._settings.model, self._settings.revision):
            self._is_resting = False
        resident = self._hold_or_wait(snapshot, f"{repo_id}@{snapshot.name[:8]}", report)
        try:
            if (engine := resident.engine) is None:
                engine, notices = self._opening.open(snapshot, report)
                self._keep(snapshot, resident, engine, notices)
                if (runner := engine.runner).name == "torch":  # a graph may have been unusable
                    resident.n_bytes = self._opening.torch_memory(snapshot, runner.precision)
                self._metrics.loads.labels(resident.name, "loaded").inc()
        except BaseException:
            self._metrics.loads.labels(resident.name, "failed").inc()
            with self._changed:
                self._residents.pop(snapshot, None)  # closing may have removed it
            raise
        finally:
            with self._changed:
                self._changed.notify_all()
        if self._opening.lacks_graph(snapshot) and not resident.is_replaced:
            self._opening.writing.begin(snapshot, partial(self._switch, snapshot))
        return ServedModel(
            repo_id,
            revision,
            snapshot.name,
            engine,
            partial(self._notices, snapshot, resident),
            partial(self._release, snapshot, resident),
        )

    def loaded(self, repo_id: str, revision: str, *, may_load: bool = False) -> str | None:
        """The sha of the revision if it is in memory, or if ``may_load``; otherwise None.

        Raises:
            CheckpointError: there is no such revision on this machine.
        """
        snapshot = self._here(repo_id, revision)
        return snapshot.name if self._is_loaded(snapshot) or may_load else None

    def _here(self, repo_id: str, revision: str) -> Path:
        """The snapshot of a revision on this machine.

        Raises:
            CheckpointError: there is none.
        """
        self.repositories.require(repo_id)
        revision = self.repositories.with_adapter(revision)
        return checkpoints.resolve(repo_id, revision, store=self._settings.store, download=False)

    def _is_loaded(self, snapshot: Path) -> bool:
        with self._changed:
            resident = self._residents.get(snapshot)
            return resident is not None and resident.engine is not None

    def engines(self) -> list[tuple[str, Engine]]:
        """The engines in memory, by ``repo@commit``."""
        with self._changed:
            residents = [*self._residents.values(), *self._replaced]
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
            if self._is_resting:  # unloaded because nobody used it
                return
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

    def unload_idle(self, seconds: float) -> None:
        """Drop the models that nobody has used for ``seconds``."""
        oldest = time.monotonic() - seconds
        with self._changed:
            idle = {
                snapshot: one
                for snapshot, one in self._residents.items()
                if one.engine is not None and not one.users and one.used <= oldest
            }
            for snapshot in idle:
                del self._residents[snapshot]
        for resident in idle.values():
            self._is_resting = self._is_resting or self._is_own(resident)
            assert resident.engine is not None
            _free(resident.engine)

    def close(self) -> None:
        """End all engines, and open no more."""
        self._opening.writing.close()
        with self._changed:
            self._is_draining = True
            engines = [engine for _, engine in self.engines()]
            self._residents.clear()
            self._replaced.clear()
        for engine in engines:
            engine.close()
            engine.runner.close()

    def _count_text(self, sequence: Sequence) -> None:
        self._metrics.count_text(sequence, time.perf_counter())

    def _hold_or_wait(self, snapshot: Path, name: str, report: Report) -> _Resident:
        """Like ``_hold``. If PyTorch would not fit but the graph would, wait until that is written; and if models in
        use are about to be replaced by their graphs, wait for their memory."""
        writing = self._opening.writing
        while True:
            try:
                return self._hold(snapshot, name)
            except NoRoom:
                if self._is_draining or not self._will_fit(snapshot):
                    raise
            if self._opening.lacks_graph(snapshot):
                writing.begin(snapshot, partial(self._switch, snapshot))
                writing.wait(snapshot, lambda share: report(Stage(share, f"Writing the {writing.precision} graph of")))
            else:
                report(Stage(0, "Waiting for memory for"))
                time.sleep(_SECONDS_TO_RETRY)

    def _will_fit(self, snapshot: Path) -> bool:
        """Whether the model will fit with its graph, now or after models in use have been replaced by theirs."""
        if self._opening.lacks_graph(snapshot):
            n_bytes = self._opening.future_graph_memory(snapshot)
        else:
            n_bytes = self._opening.memory_needed(snapshot)
        with self._changed:
            in_use = {key: one for key, one in self._residents.items() if one.users}
            shrinks = self._replaced or any(
                one.is_replaced or self._opening.writing.is_under_way(key) for key, one in in_use.items()
            )
            held = sum(one.n_bytes for one in (*in_use.values(), *self._replaced))
        return n_bytes <= (self._budget if shrinks else self._budget - held)

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
                if self._is_draining:  # since the caller began to wait
                    raise NoRoom(_STOPPING)
                n_bytes = self._opening.memory_needed(snapshot)
                dropped = self._make_room(n_bytes)
                self._residents[snapshot] = _Resident(name, n_bytes)
            self._residents.move_to_end(snapshot)
            self._residents[snapshot].users += 1
            held = self._residents[snapshot]
        # an engine stops only after its current step, and the event loop may need the lock meanwhile
        for engine in dropped:
            _free(engine)
        return held

    def _keep(self, snapshot: Path, resident: _Resident, engine: Engine, notices: tuple[str, ...]) -> None:
        """Add a loaded engine to its entry.

        Raises:
            NoRoom: the models have been closed meanwhile.
        """
        with self._changed:
            if self._residents.get(snapshot) is resident:
                resident.engine, resident.notices = engine, notices
                return
        _free(engine)
        raise NoRoom(_STOPPING)

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
            _free(engine)

    def _release(self, snapshot: Path, resident: _Resident) -> None:
        with self._changed:
            resident.users -= 1
            resident.used = time.monotonic()
            if resident.users or not resident.is_replaced:
                return
            if resident in self._replaced:
                self._replaced.remove(resident)
            elif self._residents.get(snapshot) is resident:
                del self._residents[snapshot]
        assert resident.engine is not None
        # not here: the event loop may be releasing it
        threading.Thread(target=_free, args=(resident.engine,), daemon=True).start()

    def _switch(self, snapshot: Path) -> None:
        """Serve a model from the graph that has been written, from the next request on."""
        with self._changed:
            old = self._residents.get(snapshot)
            if old is None or old.engine is None or old.engine.runner.name != "torch":
                return  # the next request opens the graph
            n_bytes = self._opening.memory_needed(snapshot)
            old.users += 1  # so that it is not dropped for the graph
            try:
                dropped = self._make_room(n_bytes)
            except NoRoom:
                old.is_replaced = True  # the graph is opened after it
                dropped = []
            else:
                old.n_bytes += n_bytes
        for engine in dropped:
            _free(engine)
        try:
            if not old.is_replaced:
                self._replace(snapshot, old, n_bytes)
        finally:
            self._release(snapshot, old)

    def _replace(self, snapshot: Path, old: _Resident, n_bytes: int) -> None:
        assert old.engine is not None
        new = None
        try:
            new, notices = self._opening.open(snapshot)
            if new.runner.name == "torch":
                raise CheckpointError(" ".join(notices))
            if not results_agree(new, old.engine):
                raise CheckpointError("The graph was written, but its results differ too much from PyTorch's.")
        except (CheckpointError, UserError, EngineBusy) as error:
            if new is not None:
                _free(new)
            with self._changed:
                old.n_bytes -= n_bytes
                old.notices = (*old.notices, str(error))
            return
        with self._changed:
            old.n_bytes -= n_bytes
            old.is_replaced = True
            if self._residents.get(snapshot) is old:
                self._residents[snapshot] = _Resident(old.name, n_bytes, new, notices)
                self._replaced.append(old)
                log.info("%s is served by its graph from now on", old.name)
                return
        _free(new)

    def _notices(self, snapshot: Path, resident: _Resident) -> tuple[str, ...]:
        assert resident.engine is not None
        return tuple(map(without_paths, [*resident.notices, *self._opening.notices(snapshot, resident.engine)]))

    def _is_own(self, resident: _Resident) -> bool:
        return resident.name.partition("@")[0] == self._settings.model

    def _make_room(self, n_bytes: int) -> list[Engine]:
        """Drop unused models until ``n_bytes`` more fit into the budget; returns their engines, to be closed."""
        residents = [*self._residents.values(), *self._replaced]
        in_use = sum(resident.n_bytes for resident in residents if resident.users)
        if in_use + n_bytes > self._budget:
            raise NoRoom(
                f"The model needs {n_bytes / 1e9:.1f} GB, but of the {self._budget / 1e9:.1f} GB for models "
                f"{in_use / 1e9:.1f} GB are in use; try again later, or start the server with a larger --model-memory."
            )
        dropped: list[Engine] = []
        for snapshot, resident in list(self._residents.items()):
            held = sum(other.n_bytes for other in (*self._residents.values(), *self._replaced))
            if held + n_bytes <= self._budget:
                break
            if not resident.users:
                del self._residents[snapshot]
                assert resident.engine is not None
                dropped.append(resident.engine)
        return dropped


def _free(engine: Engine) -> None:
    """Close an engine and return its memory to the system, although finished requests, which wait for the garbage
    collector, may still refer to it."""
    engine.close()
    engine.runner.close()
    give_back()
