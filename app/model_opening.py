"""How a revision is opened here: with which runner, in how much memory, and whether a graph is to be written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from app.graph_writing import GraphWriting
from app.memory import give_back
from app.settings import Settings
from santacoder import checkpoints, pytorch, sampling
from santacoder.checkpoints import graph_cache
from santacoder.engine.engine import Engine, EngineBusy
from santacoder.engine.events import Finished, PromptToken
from santacoder.engine.loader import (
    AUTOMATIC_PRECISION,
    Opened,
    choose_device,
    estimated_graph_memory,
    graph_memory,
    graphs,
    open_engine,
    require_torch,
)
from santacoder.engine.onnx.session import runtime_has
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import affordable_slots, memory_needed
from santacoder.engine.sequence import Sequence
from santacoder.errors import CheckpointError
from santacoder.sampling import SamplingParams

_TRIAL = Path(sampling.__file__).read_text(encoding="utf-8")
_TRIAL_TOKENS = 256
_MOST_RISE = 0.05
_SECONDS_TO_RETRY = 0.5


class Stage(NamedTuple):
    """The progress of opening a model: the share of what is being done, from 0 to 1."""

    share: float
    doing: str = "Loading"


Report = Callable[[Stage], None]


class ModelOpening:
    """Opens revisions as the settings say. ``on_end`` is called with each finished text."""

    def __init__(self, settings: Settings, on_end: Callable[[Sequence], None]) -> None:
        self._settings = settings
        self._device = choose_device(settings.device)
        self._on_end = on_end
        self.writing = GraphWriting(settings.graphs, AUTOMATIC_PRECISION[self._device], int(settings.graph_space * 1e9))

    def open(self, snapshot: Path, report: Report = lambda stage: None) -> Opened:
        """Load the fastest runner that works.

        Raises:
            CheckpointError: files are damaged, or there is no graph for the requested runner.
        """
        for graph in self._graphs(snapshot)[:1]:
            graph_cache.mark_used(graph)
        opened = open_engine(
            snapshot,
            device=self._device,
            runner=self._settings.runner,
            cached=self._cached(snapshot),
            apart=self._device == "cpu" and self.lacks_graph(snapshot),
            n_slots=None,
            max_waiting=self._settings.max_waiting,
            exact=self._settings.exact,
            on_end=self._on_end,
            report=lambda share: report(Stage(share)),
        )
        give_back()  # what opening needed for a moment
        return opened

    def memory_needed(self, snapshot: Path) -> int:
        """Bytes that the model will take as it would be opened now.

        Raises:
            CheckpointError: its files are damaged, or it needs PyTorch, which is not installed.
        """
        if found := self._graphs(snapshot):
            return graph_memory(checkpoints.read_config(snapshot), found[0])
        require_torch(snapshot, self._settings.runner)
        return self.torch_memory(snapshot, "bf16" if self._device == "cuda" else "fp32")

    def torch_memory(self, snapshot: Path, precision: str) -> int:
        """Bytes that the model takes with PyTorch, whose process chooses between bf16 and fp32 when it opens it."""
        config = checkpoints.read_config(snapshot)
        n_slots = affordable_slots(config, 2 if self._device == "cuda" else 4)
        return memory_needed(config, 4 if precision == "fp32" else 2, n_slots)

    def future_graph_memory(self, snapshot: Path) -> int:
        """Bytes that the model will take with the graph that is to be written."""
        return estimated_graph_memory(checkpoints.read_config(snapshot), self._device)

    def lacks_graph(self, snapshot: Path) -> bool:
        """Whether a graph is to be written, which PyTorch does: for models of the Hub, where the runtime can use the
        device, unless that has failed."""
        return (
            pytorch.is_installed()
            and self._settings.runner == "auto"
            and self._settings.graph_space > 0
            and graph_cache.is_cached(snapshot)
            and not self._graphs(snapshot)
            and self.writing.problem(snapshot) is None
            and runtime_has(self._device)
        )

    def notices(self, snapshot: Path, engine: Engine) -> list[str]:
        """How far the graph is that will replace PyTorch, or why there is none."""
        if engine.runner.name != "torch":
            return []
        said = []
        if (share := self.writing.share(snapshot)) is not None:
            said.append(
                f"A faster graph ({self.writing.precision}) is being written: {share:.0%}. Until then, PyTorch serves."
            )
        if problem := self.writing.problem(snapshot):
            said.append(f"The faster graph could not be written: {problem}")
        return said

    def _graphs(self, snapshot: Path) -> list[Path]:
        if self._settings.runner == "torch":
            return []
        return graphs(snapshot, self._device, self._cached(snapshot))

    def _cached(self, snapshot: Path) -> Path | None:
        return graph_cache.folder_of(snapshot, self._settings.graphs) if graph_cache.is_cached(snapshot) else None


def results_agree(new: Engine, old: Engine) -> bool:
    """Whether a short text is about as likely on one engine as on the other, whose requests go on meanwhile.

    Raises:
        CheckpointError: one of them cannot compute the text.
        EngineBusy: one of them has been closed.
    """
    return _nats(new) <= (1 + _MOST_RISE) * _nats(old)


def _nats(engine: Engine) -> float:
    """The sum of the negative log-likelihoods of a short text."""
    ids = engine.tokenizer.encode(_TRIAL)[: min(_TRIAL_TOKENS, engine.runner.n_positions // 2)]
    sampling = SamplingParams(max_new_tokens=1, temperature=0)
    request = CompletionRequest("", prefix_ids=tuple(ids), sampling=sampling, echo=True)
    while True:
        try:
            events = list(engine.submit(request))
        except EngineBusy:
            if not engine.alive:
                raise
            time.sleep(_SECONDS_TO_RETRY)
            continue
        if isinstance(last := events[-1], Finished) and last.reason == "error":
            raise CheckpointError(f"The graph cannot be compared with PyTorch: {last.message}")
        return -sum(event.logprob for event in events if isinstance(event, PromptToken) and event.logprob is not None)
