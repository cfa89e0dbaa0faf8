"""A pane in which the model writes code, as components that other modules extend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.attribution_indexes import Indexes
from app.generation.gaps import unfilled
from app.generation.records import MARK, Generation, Pane
from app.limits import Limits
from app.ui.components import code_update, summary
from app.ui.token_map import heat_map

NO_TOKENS = '<p class="empty">After a run, every generated token is shown here with its probability.</p>'


@dataclass(frozen=True)
class Controls:
    """What the panes share: the revision menus, the sampling parameters, the number of candidates, the attribution
    indexes, and the limits for a client."""

    page: gr.Blocks
    revision: list[gr.Dropdown]
    parameters: list[gr.components.Component]
    candidates: gr.Slider
    indexes: Indexes
    limits: Limits


@dataclass(frozen=True)
class CodePane:
    """The components of a pane.

    ``generation`` holds the :class:`Generation` that is shown, or None, and ``index`` the number of its candidate. To
    show another one, an event outputs ``show(generation, index)`` to ``shown``. More buttons go into ``actions``, more
    tabs into ``details``. ``split`` splits the editor's code at its gaps, or raises a UserError.
    """

    name: Pane
    split: Callable[[str], tuple[str, ...]]
    language: gr.Radio
    preset: gr.Dropdown
    order: gr.Radio
    editor: gr.Code
    context: gr.HTML
    actions: gr.Row
    run: gr.Button
    stop: gr.Button
    retry: gr.Button
    undo: gr.Button
    pager: gr.Row
    earlier: gr.Button
    page_number: gr.HTML
    later: gr.Button
    status: gr.HTML
    origin_badge: gr.HTML
    origin_check: gr.Button
    origins: gr.HTML
    details: gr.Tabs
    tokens: gr.HTML
    generation: gr.State
    index: gr.State

    @property
    def shown(self) -> list[gr.blocks.Block]:
        return [
            self.editor,
            self.status,
            self.tokens,
            self.pager,
            self.page_number,
            self.language,
            self.order,
            self.generation,
            self.index,
        ]

    def prompt(self, code: str, generation: Generation | None, index: int, *, again: bool = False) -> tuple[str, ...]:
        """The prompt to run: the code as it is or, if it has no gap any more or is run ``again``, as it was before the
        candidate number ``index`` of ``generation`` was filled in.

        Raises:
            UserError: the code has no gap and never had one, or too many.
        """
        if generation is not None and MARK not in code and (again or len(generation.parts) > 1):
            parts = unfilled(generation, index, code)
            # almost nothing would be left of other code
            if 2 * sum(map(len, parts)) >= sum(map(len, generation.parts)):
                return parts
        return self.split(code)

    def show(self, generation: Generation, index: int = 0, notices: tuple[str, ...] = ()) -> list[Any]:
        """Updates of ``shown``, with the candidate number ``index`` in the editor."""
        return [
            code_update(generation.code(index), generation.language),
            summary(generation, index, notices),
            _heat_maps(generation, index),
            gr.Row(visible=len(generation.candidates) > 1 or generation.candidates[0].n_alike > 1),
            _page_number(generation, index),
            generation.language,
            generation.fim_order,
            generation,
            index,
        ]


def _heat_maps(generation: Generation, index: int) -> str:
    """One heat map for each gap that was reached."""
    completions = generation.candidates[index].completions
    several = len(completions) > 1
    return "".join(
        heat_map(completion.tokens, label=f"Tokens of gap {gap}" if several else "Tokens")
        for gap, completion in enumerate(completions, start=1)
    )


def _page_number(generation: Generation, index: int) -> str:
    alike = generation.candidates[index].n_alike
    said = f" · {alike} alike" if alike > 1 else ""
    return f'<p class="page-number">Candidate <b>{index + 1}</b> of {len(generation.candidates)}{said}</p>'
