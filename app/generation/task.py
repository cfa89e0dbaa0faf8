"""A task and its progress: the model is loading, the generation so far, or why it failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.generation.records import Generation, Language, Pane
from santacoder.engine.gap_order import automatic_order
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams


@dataclass(frozen=True)
class Task:
    """A task to generate ``n`` candidates, either after the code or for the gaps between its ``parts``.

    A ``fim_order`` of None leaves it to the revision and the gap. With ``sampling.seed``, candidate number i has the
    seed ``seed + i``, so that it can be reproduced alone. ``client`` is used to schedule the texts of several clients
    fairly, and texts may be drafted from earlier ones of the same ``session``; neither counts for equality.
    """

    pane: Pane
    language: Language
    parts: tuple[str, ...]
    sampling: SamplingParams
    fim_order: FimOrder | None = "psm"
    n: int = 1
    client: str = field(default="", compare=False)
    session: str = field(default="", compare=False)

    @property
    def n_texts(self) -> int:
        """The number of generated texts: one for each gap of each candidate."""
        return self.n * max(1, len(self.parts) - 1)

    def order(self, recorded: FimOrder | None) -> FimOrder:
        """The order for all gaps, which the first decides if none is chosen; the revision records ``recorded``."""
        return self.fim_order or (
            automatic_order(self.parts[0], self.parts[1], recorded) if len(self.parts) > 1 else "psm"
        )


@dataclass(frozen=True)
class Loading:
    """The model is being opened; ``share`` of what is being done increases from 0 to 1."""

    name: str
    share: float
    doing: str = "Loading"


@dataclass(frozen=True)
class Written:
    """The generation so far, and notices for the user."""

    generation: Generation
    notices: tuple[str, ...]
    finished: bool


@dataclass(frozen=True)
class Failed:
    """The task failed; ``sentence`` says why."""

    sentence: str


Progress = Loading | Written | Failed


def as_ended(progress: Progress, sentence: str) -> Progress:
    """The final state of a task that was stopped early, with ``sentence`` as the reason."""
    match progress:
        case Written(generation, notices, finished):
            return progress if finished else Written(generation, (*notices, sentence), finished=True)
        case Loading():
            return Failed(sentence)
    return progress
