"""The pool of loaded models: revisions are opened, shared by their users, replaced by their graphs, and reloaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.errors import without_paths
from app.model_opening import ModelOpening, Report, Stage, results_agree
from app.observability.metrics import Metrics
from app.repositories import Repositories
from app.residents import STOPPING, NoRoom, Resident, Residents, free
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
_PROBE = CompletionRequest("x", sampling=SamplingParams(max_new_tokens=1, temperature=0))


@dataclass(frozen=True)
class ServedModel:
    """A loaded revision, which stays in memory until ``release`` is called; ``sha`` is the exact commit.

    ``notices`` say why the preferred runner is not used, or how much of its graph has been written.
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


class Models:
    """Engines by commit.

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
        self._own_name = ""
        self._is_resting = False
        """Whether the server's own model was unloaded because nobody used it."""
        self._opening = ModelOpening(settings, self._count_text)
        self._residents = Residents(int(settings.model_memory * 1e9), self._opening.memory_needed)

    def acquire(self, repo_id: str, revision: str, report: Report = lambda stage: None) -> ServedModel:
        """The engine of a revision, loaded if needed. Call ``release`` on the result when done.

        Raises:
            CheckpointError: there is no such revision, its files are damaged, or it does not fit.
        """
        if self._residents.is_draining:
            raise NoRoom(STOPPING)
        download = Transfer()
        snapshot = self.repositories.snapshot(
            repo_id, revision, lambda here, total: report(Stage(here / total, download.described(here, total)))
        )
        return self._acquired(snapshot, repo_id, revision, report)

    def acquire_loaded(self, repo_id: str, revision: str) -> ServedModel | None:
        """Like :meth:`acquire`, but None if the model is not in memory."""
        with suppress(CheckpointError):  # acquire says why
            snapshot = self._here(repo_id, revision)
            if self._residents.is_loaded(snapshot) and not self._residents.is_draining:
                return self._acquired(snapshot, repo_id, revision)
        return None

    def may_serve(self, repo_id: str, revision: str) -> bool:
        """Whether a revision can be served, as far as that is known without downloading it: not if its files are
        damaged, or if it needs PyTorch and that is not installed."""
        try:
            snapshot = self._here(repo_id, revision)
        except CheckpointError:
            return True
        try:
            self._opening.memory_needed(snapshot)
        except CheckpointError:
            return False
        return True

    def _acquired(
        self, snapshot: Path, repo_id: str, revision: str, report: Report = lambda stage: None
    ) -> ServedModel:
        name = f"{repo_id}@{snapshot.name[:8]}"
        if (repo_id, revision) == (self._settings.model, self._settings.revision):
            self._own_name, self._is_resting = name, False
        resident = self._hold_or_wait(snapshot, name, report)
        if (engine := resident.engine) is None:
            engine = self._load(snapshot, resident, report)
        if self._opening.lacks_graph(snapshot) and not resident.is_replaced:
            self._opening.writing.begin(snapshot, partial(self._switch, snapshot))
        return ServedModel(
            repo_id,
            revision,
            snapshot.name,
            engine,
            partial(self._notices, snapshot, resident),
            partial(self._residents.release, snapshot, resident),
        )

    def _load(self, snapshot: Path, resident: Resident, report: Report) -> Engine:
        try:
            engine, notices = self._opening.open(snapshot, report)
            if (runner := engine.runner).name == "torch":  # a graph may have been unusable
                n_bytes = self._opening.torch_memory(snapshot, runner.precision)
            else:
                n_bytes = resident.n_bytes
            self._residents.keep(snapshot, resident, engine, notices, n_bytes)
        except BaseException:
            self._metrics.loads.labels(resident.name, "failed").inc()
            self._residents.forget(snapshot)
            raise
        self._metrics.loads.labels(resident.name, "loaded").inc()
        return engine

    def commit(self, repo_id: str, revision: str) -> str:
        """The sha of a revision on this machine.

        Raises:
            CheckpointError: there is no such revision on this machine.
        """
        return self._here(repo_id, revision).name

    def loaded_commit(self, repo_id: str, revision: str) -> str | None:
        """The sha of a revision if it is in memory; otherwise None.

        Raises:
            CheckpointError: there is no such revision on this machine.
        """
        snapshot = self._here(repo_id, revision)
        return snapshot.name if self._residents.is_loaded(snapshot) else None

    def _here(self, repo_id: str, revision: str) -> Path:
        """The snapshot of a revision on this machine.

        Raises:
            CheckpointError: there is none.
        """
        self.repositories.require(repo_id)
        revision = self.repositories.with_adapter(revision)
        return checkpoints.resolve(repo_id, revision, store=self._settings.store, download=False)

    def engines(self) -> list[tuple[str, Engine]]:
        """The engines in memory, by ``repo@commit``."""
        return self._residents.engines()

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
            if not self._is_resting:
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
                self._residents.drop_unused(engine)

    def drain(self, seconds: float) -> None:
        """Accept no more requests, and wait for those in progress; after ``seconds`` they are ended."""
        self._residents.is_draining = True
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
        for name, engine in self._residents.take_idle(seconds):
            self._is_resting = self._is_resting or name == self._own_name
            free(engine)

    def close(self) -> None:
        """End all engines, and open no more."""
        self._opening.writing.close()
        self._residents.close()

    def _count_text(self, sequence: Sequence) -> None:
        self._metrics.count_text(sequence, time.perf_counter())

    def _hold_or_wait(self, snapshot: Path, name: str, report: Report) -> Resident:
        """The model's entry, with one more user. If PyTorch would not fit but the graph would, wait until that is
        written; and if models in use are about to be replaced by their graphs, wait for their memory."""
        writing = self._opening.writing
        while True:
            try:
                return self._residents.hold(snapshot, name)
            except NoRoom:
                if self._residents.is_draining or not self._will_fit(snapshot):
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
        return self._residents.fits_later(n_bytes, self._opening.writing.is_under_way)

    def _switch(self, snapshot: Path) -> None:
        """Serve a model from the graph that has been written, from the next request on."""
        reserved = self._residents.reserve_for_graph(snapshot)
        if reserved is None:
            return
        old, n_bytes = reserved
        try:
            if not old.is_replaced:
                self._replace(snapshot, old, n_bytes)
        finally:
            self._residents.release(snapshot, old)

    def _replace(self, snapshot: Path, old: Resident, n_bytes: int) -> None:
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
                free(new)
            self._residents.give_up_graph(old, n_bytes, str(error))
            return
        if self._residents.replace(snapshot, old, new, notices, n_bytes):
            log.info("%s is served by its graph from now on", old.name)

    def _notices(self, snapshot: Path, resident: Resident) -> tuple[str, ...]:
        assert resident.engine is not None
        return tuple(map(without_paths, [*resident.notices, *self._opening.notices(snapshot, resident.engine)]))
