"""Results of several revisions side by side: texts, differences, probabilities, speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from app.generation.compare import is_running
from app.generation.records import Generation
from app.generation.task import Failed, Loading, Progress, Written
from app.ui.diff import Piece, compared_pieces
from app.ui.html import render
from app.ui.token_map import heat_map, perplexity

View = Literal["differences", "probabilities"]


@dataclass(frozen=True)
class _Column:
    """One revision. ``generation`` is None while the model is loading or if there is a ``failure``."""

    name: str
    loaded: float = 0.0
    doing: str = "Loading"
    failure: str = ""
    generation: Generation | None = None
    notices: tuple[str, ...] = ()
    pieces: Sequence[Piece] = ()
    heat_map: str = ""
    n_tokens: int = 0
    perplexity: str = "–"
    speed_share: int = 0


def columns(latest: Sequence[Progress], names: Sequence[str], view: View, *, is_blind: bool = False) -> str:
    """HTML with one column per revision; ``names`` are the headings. ``is_blind`` hides what tells revisions apart.

    Differences are marked when all are done: in the first column, what any other column lacks; in the others, what the
    first lacks.
    """
    running = any(map(is_running, latest))
    written = [progress.generation if isinstance(progress, Written) else None for progress in latest]
    fastest = max((one.tokens_per_second for one in written if one), default=0.0) or 1.0
    shown = []
    for index, (name, progress) in enumerate(zip(names, latest, strict=True)):
        compared = [] if running else written[1:] if index == 0 else written[:1]
        shown.append(_column(name, progress, [one for one in compared if one], view, fastest))
    return render("columns", columns=shown, running=running, is_blind=is_blind)


def _column(name: str, progress: Progress, others: list[Generation], view: View, fastest: float) -> _Column:
    match progress:
        case Loading(_, share, doing):
            return _Column(name, loaded=share, doing=doing.removesuffix(" of"))
        case Failed(sentence):
            return _Column(name, failure=sentence)
        case Written(generation, notices, _):
            tokens = generation.candidates[0].written
            found = perplexity(tokens)
            heat = view == "probabilities"
            return _Column(
                name,
                generation=generation,
                notices=notices,
                pieces=() if heat else compared_pieces(generation, others, whole_prompt=False),
                heat_map=Markup(heat_map(tokens, label="What was written, token by token")) if heat else "",
                n_tokens=len(tokens),
                perplexity=f"{found:.2f}" if found else "–",
                speed_share=round(100 * generation.tokens_per_second / fastest),
            )
