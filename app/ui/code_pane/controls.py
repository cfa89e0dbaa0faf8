"""A pane in which the model writes code, as components that other modules extend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from app.attribution_indexes import Indexes
from app.generation.gaps import unfilled
from app.generation.records import MARK, Generation, Language, Pane
from app.generation.task import Task
from app.limits import Limits
from app.ui.components import READY, Updates, code_update, running_state, summary
from app.ui.html import render
from app.ui.parameters import OrderChoice, ParameterControls, Parameters, chosen_order
from app.ui.revision_menus import RevisionMenus
from app.ui.token_map import heat_map

NO_TOKENS = '<p class="empty">After a run, every generated token is shown here with its probability.</p>'
NOT_CHECKED = '<p class="empty">After each run, the generated code is looked up in the training files of the model.</p>'


@dataclass(frozen=True)
class Controls:
    """What the panes share: the revision menus, the sampling parameters, the number of candidates, the attribution
    indexes, and the limits for a client."""

    page: gr.Blocks
    revision: RevisionMenus
    parameters: ParameterControls
    candidates: gr.Slider
    indexes: Indexes
    limits: Limits


@dataclass(frozen=True)
class PaneInputs(Parameters):
    """The values of the components that :meth:`CodePane.inputs` names."""

    code: str
    language: Language
    candidates: int
    order: OrderChoice
    model: str
    branch: str
    commit: str
    generation: Generation | None
    index: int

    @property
    def revision(self) -> str:
        return self.commit or self.branch


@dataclass(frozen=True)
class CodePane:
    """The components of a pane.

    ``generation`` holds the :class:`Generation` that is shown, or None, and ``index`` the number of its candidate. To
    show another one, an event whose outputs are ``shown`` returns ``show(generation, index)``. More controls go into
    ``more``, more tabs into ``details``. ``split`` splits the editor's code at its gaps, or raises a UserError.
    """

    name: Pane
    split: Callable[[str], tuple[str, ...]]
    language: gr.Radio
    preset: gr.Dropdown
    order: gr.Radio
    editor: gr.Code
    context: gr.HTML
    more: gr.Row
    run: gr.Button
    stop: gr.Button
    retry: gr.Button
    undo: gr.Button
    gap: gr.Button
    copy: gr.Button
    download: gr.Button
    share: gr.Button
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
            self.undo,
            self.share,
            self.page_number,
            self.language,
            self.generation,
            self.index,
        ]

    def inputs(self, controls: Controls) -> dict[str, gr.components.Component]:
        """The components from which a request is made, by the names of :class:`PaneInputs`. The names and their order
        are those of the page's API.
        """
        return {
            "code": self.editor,
            "language": self.language,
            "candidates": controls.candidates,
            "order": self.order,
            **controls.revision._asdict(),
            **controls.parameters._asdict(),
            "generation": self.generation,
            "index": self.index,
        }

    def task(self, given: PaneInputs, *, again: bool = False) -> Task:
        """The request that the components describe.

        Raises:
            UserError: a parameter is out of range, or the code has no gap where it needs one.
        """
        parts = self.prompt(given.code, given.generation, given.index, again=again)
        order = chosen_order(given.order)
        return Task(self.name, given.language, parts, given.sampling(), order, int(given.candidates))

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

    def cleared(self) -> Updates:
        """Updates of what tells of a generation: as it is before anything was written."""
        return {
            self.status: READY,
            self.tokens: NO_TOKENS,
            self.origin_badge: "",
            self.origins: NOT_CHECKED,
            self.pager: gr.update(visible=False),
            self.undo: gr.update(interactive=False),
            self.share: gr.update(interactive=False),
        }

    def undone(self, generation: Generation) -> Updates:
        """Updates that bring back the code of ``generation`` as it was before it was run. What is typed from then on is
        what Retry runs."""
        return {self.editor: MARK.join(generation.parts), **self.cleared(), self.generation: None}

    def overwritten(self) -> Updates:
        """Updates when another text is begun: the origin of the one before is not that of it, and Undo waits for it."""
        return {self.origin_badge: "", self.origins: NOT_CHECKED, self.undo: gr.update(interactive=False)}

    def running_state(self, *, running: bool) -> Updates:
        """The buttons and menus: while something runs, those that would change its text cannot be used."""
        others = {part: gr.update(interactive=not running) for part in (self.retry, self.language, self.preset)}
        return {**running_state(self.run, self.stop, running=running), **others}

    def show(self, generation: Generation, index: int = 0, notices: tuple[str, ...] = ()) -> Updates:
        """Updates of ``shown``, with the candidate number ``index`` in the editor."""
        return {
            self.editor: code_update(generation.code(index), generation.language),
            self.status: summary(generation, index, notices),
            self.tokens: _heat_maps(generation, index),
            self.pager: gr.Row(visible=len(generation.candidates) > 1 or generation.candidates[0].n_alike > 1),
            self.undo: gr.update(interactive=True),
            self.share: gr.update(interactive=True),
            self.page_number: _page_number(generation, index),
            self.language: gr.update(value=generation.language, interactive=True),
            self.generation: generation,
            self.index: index,
        }


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
    return render("page_number", number=index + 1, count=len(generation.candidates), alike=alike)
