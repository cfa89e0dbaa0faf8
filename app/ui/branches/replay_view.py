"""A replay of a branch: facts and output of each commit. The slider shows one commit at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.generation.records import Generation
from app.generation.replay import Replay
from app.ui.diff import Piece, compared_pieces
from app.ui.html import render
from app.ui.token_map import perplexity
from santacoder.checkpoints import Commit


@dataclass(frozen=True)
class _Frame:
    """One commit. ``pieces`` are the code, if there is any, with a ``notice``; otherwise ``failure`` or ``status`` says
    why there is none."""

    facts: str
    status: str = "Press Replay to see what the model writes at this point in its training."
    pieces: Sequence[Piece] = ()
    notice: str = ""
    failure: str = ""


def film(commits: Sequence[Commit], replay: Replay | None = None) -> str:
    """HTML with one frame per commit, oldest first."""
    if replay is None:
        return render("film", frames=[_Frame(facts(commit)) for commit in commits])
    return render("film", frames=[_frame(facts(commit), number, replay) for number, commit in enumerate(commits)])


def facts(commit: Commit) -> str:
    """The state of training at this commit, as text."""
    known = [
        f"step {commit.step:,}" if commit.step is not None else "",
        f"{commit.tokens / 1e6:,.1f} M tokens seen" if commit.tokens else "",
        f"loss {commit.validation_loss:.3f}" if commit.validation_loss is not None else "",
        commit.title,
        commit.sha[:8],
    ]
    return " · ".join(filter(None, known))


def _frame(known: str, number: int, replay: Replay) -> _Frame:
    text = replay.texts[number]
    notice = replay.notice if replay.current == number else ""
    if isinstance(text, Generation):
        before = replay.texts[number - 1] if number else None
        pieces = compared_pieces(text, [before] if isinstance(before, Generation) else [])
        return _Frame(known, _status(text), pieces, notice)
    if text or notice:
        return _Frame(known, failure=text or notice)
    if replay.current == number and not replay.finished:
        return _Frame(known, replay.doing or "Processing the prompt …")
    return _Frame(known)


def _status(generation: Generation) -> str:
    tokens = generation.candidates[0].written
    found = perplexity(tokens)
    said = [f"{len(tokens)} tokens", f"{generation.tokens_per_second:,.0f} tokens/s"]
    return " · ".join([*said, f"perplexity {found:.2f}"] if found else said)
