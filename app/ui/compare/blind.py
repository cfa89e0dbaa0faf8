"""Blind comparison: the names of the revisions are hidden until one of the texts is voted for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app.errors import ShareError
from app.generation.compare import is_running
from app.generation.records import Comparison
from app.generation.task import Progress, Written
from app.limits import RateLimits
from app.shares.cookies import known_visitor
from app.shares.votes import Votes
from app.ui.components import QUIET, Updates, failure, status_line

LETTERS = "ABCD"
_TIE = "No difference"
# the cookie by which a visitor's second vote is recognised
_ASK_FOR_COOKIE = """async (...values) => {
  await fetch("s/visitor", { method: "POST" }).catch(() => null);
  return values;
}"""


@dataclass(frozen=True)
class Ballot:
    """The order in which the revisions are shown, as indices into the chosen ones, and whether their names are."""

    order: tuple[int, ...]
    is_open: bool = True

    @staticmethod
    def drawn(n_revisions: int) -> Ballot:
        """A random order."""
        return Ballot(tuple(random.sample(range(n_revisions), n_revisions)))

    def shown(self, latest: Sequence[Progress], names: Sequence[str]) -> tuple[list[Progress], list[str]]:
        """Results and headings in the order of the ballot."""
        letters = [LETTERS[place] for place in range(len(self.order))]
        known = letters if self.is_open else [f"{a} · {names[i]}" for a, i in zip(letters, self.order, strict=True)]
        return [latest[index] for index in self.order], known

    def after(self, latest: Sequence[Progress]) -> Ballot:
        """The ballot with these results: a revision without a text leaves nothing to vote on."""
        failed = any(not is_running(one) and not isinstance(one, Written) for one in latest)
        return replace(self, is_open=self.is_open and not failed)


@dataclass(frozen=True)
class BlindControls:
    """``wanted`` makes the next comparison blind; ``votes`` has a button for each text, and one for none of them."""

    wanted: gr.Checkbox
    row: gr.Row
    votes: list[gr.Button]
    said: gr.HTML
    ballot: gr.State

    @property
    def shown(self) -> list[gr.blocks.Block]:
        return [self.row, *self.votes, self.said, self.ballot]

    def state(self, ballot: Ballot | None, latest: Sequence[Progress]) -> Updates:
        """Updates of ``shown``: the buttons are there once all texts are."""
        can_vote = ballot is not None and ballot.is_open and not any(map(is_running, latest))
        buttons = {
            button: gr.Button(visible=place < len(latest) or button is self.votes[-1])
            for place, button in enumerate(self.votes)
        }
        return {self.row: gr.Row(visible=can_vote), **buttons, self.said: "", self.ballot: ballot}


def blind_choice() -> gr.Checkbox:
    return gr.Checkbox(
        label="Blind",
        info="Hides the names until you have voted.",
        elem_id="compare-blind",
        min_width=200,
        container=False,
    )


def vote_controls(wanted: gr.Checkbox) -> BlindControls:
    with gr.Row(visible=False, elem_id="compare-votes", elem_classes="buttons") as row:
        votes = [gr.Button(f"{letter} is better", elem_id=f"compare-vote-{letter}", min_width=96) for letter in LETTERS]
        votes.append(gr.Button(_TIE, elem_id="compare-vote-tie", min_width=96))
    said = gr.HTML(elem_id="compare-voted")
    return BlindControls(wanted, row, votes, said, gr.State(None))


def connect_votes(
    blind: BlindControls,
    votes: Votes,
    limits: RateLimits,
    results: gr.State,
    written: gr.HTML,
    view: gr.Radio,
    draw: Callable[..., str],
    comparison_of: Callable[[Sequence[Progress]], Comparison | None],
) -> None:
    """Count a vote and show the names.

    Args:
        blind: the controls of this module.
        votes: where votes are kept.
        limits: rate limits of votes.
        results: the result of each revision, and the revisions' names.
        written: shows the results.
        view: what it shows of them.
        draw: the HTML of results, names, view and ballot.
        comparison_of: the results as a comparison.
    """

    def vote_for(place: int | None) -> Callable[..., Updates]:
        def vote(kept: tuple[list[Progress], list[str]], shown: str, ballot: Ballot | None, request: gr.Request) -> Any:
            if ballot is None or not ballot.is_open or (place is not None and place >= len(ballot.order)):
                return gr.skip()
            opened = replace(ballot, is_open=False)
            updates = {**blind.state(opened, kept[0]), written: draw(*kept, shown, opened)}
            comparison = comparison_of(kept[0])
            if comparison is None or len(comparison.generations) != len(ballot.order):
                return {**updates, blind.said: failure("A vote needs a text from each revision.")}
            better = None if place is None else ballot.order[place]
            try:
                limits.count("vote", request.client.host)
                is_first = votes.add(comparison, better, known_visitor(request.cookies))
            except ShareError as error:
                return {**updates, blind.said: failure(str(error))}
            chosen = "that there is no difference" if better is None else f"for {kept[1][better]}"
            sentence = f"You voted {chosen}." if is_first else "You have voted on these texts before; that vote counts."
            return {**updates, blind.said: status_line(f"{sentence} The Branches pane has the win rates.")}

        return vote

    for place, button in enumerate(blind.votes):
        choice = None if button is blind.votes[-1] else place
        button.click(
            vote_for(choice), [results, view, blind.ballot], [written, *blind.shown], js=_ASK_FOR_COOKIE, **QUIET
        )
