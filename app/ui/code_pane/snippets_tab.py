"""The tab *As code*: the page's request as a command or program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from app.generation.records import Generation
from app.generation.task import Task
from app.repositories import Repositories
from app.settings import Settings
from app.ui.code_pane.controls import CodePane, Controls, PaneInputs
from app.ui.components import LATEST, QUIET
from app.ui.snippets import KINDS, Call, snippet
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.gap_order import DEFAULT_ORDER
from santacoder.errors import UserError
from santacoder.fim import FimOrder
from santacoder.paths import CHECKOUT


def snippets_tab(
    pane: CodePane, settings: Settings, controls: Controls, beginnings: list[gr.events.Dependency]
) -> None:
    """A tab of the pane's details, updated with the code and the parameters."""
    with pane.details, gr.Tab("As code", elem_id=f"{pane.name}-snippets-tab") as tab:
        kind = gr.Radio(
            list(KINDS), value="curl", label="As", elem_id=f"{pane.name}-snippet-kind", elem_classes="segmented"
        )
        shown = gr.Code(
            language="shell",
            label="The same request as code",
            elem_id=f"{pane.name}-snippet",
            elem_classes="snippet",
            lines=6,
            max_lines=18,
            buttons=["copy"],
            show_line_numbers=False,
        )
        rewrite = gr.Button("Write again", visible="hidden", elem_id=f"{pane.name}-snippet-rewrite")

    def write(chosen: str, request: gr.Request, **values: Any) -> gr.Code:
        given = PaneInputs(**values)
        generation, model, revision, runner = given.generation, given.model, given.revision, ""
        try:
            if generation is not None and given.code == generation.code(given.index):  # it made the visible code
                task, model = _task_of(generation, given.index), generation.repo_id
                revision, runner = generation.revision, generation.runner
            else:
                task = pane.task(given)
        except UserError as error:
            return gr.Code(f"# {error}")
        recorded, open_order = _orders(settings, model, revision)
        task = replace(task, fim_order=task.order(recorded))
        call = Call(task, model, revision, _url(request), _folder(settings, model), runner, open_order)
        return gr.Code(snippet(chosen, call), language=KINDS[chosen])

    inputs = pane.inputs(controls)
    gr.on([tab.select, rewrite.click, kind.input], write, kind, shown, inputs_kwargs=inputs, **LATEST)
    # asked for by the browser, because the server would write it at every change, whether it is in sight or not
    in_sight: dict[str, Any] = {"js": f"() => santacoder.rewriteSnippet('{pane.name}')", **QUIET}
    # while a text streams, its end alone counts; the scripts watch the parameters and the menus
    changes = [pane.editor.blur, pane.order.change, pane.index.change, pane.tokens.change]
    gr.on(changes, None, None, None, **in_sight)
    for event in beginnings:
        event.then(None, None, None, **in_sight)


def _task_of(generation: Generation, index: int) -> Task:
    """A task that gives only the candidate number ``index``."""
    completions = generation.candidates[index].completions
    seed = completions[0].seed if completions else generation.sampling.seed
    sampling = replace(generation.sampling, seed=seed)
    return Task(generation.pane, generation.language, generation.parts, sampling, generation.fim_order)


def _orders(settings: Settings, repo_id: str, revision: str) -> tuple[FimOrder | None, FimOrder | None]:
    """The order that the revision records, and the one in which the server reads a gap without an order. Both are None
    if the revision is not on this machine: nothing is downloaded for a snippet."""
    try:
        Repositories(settings).require(repo_id)
        snapshot = checkpoints.resolve(repo_id, revision, store=settings.store, download=False)
    except CheckpointError:
        return None, None
    recorded = checkpoints.read_fim_order(snapshot)
    return recorded, recorded or DEFAULT_ORDER


def _url(request: gr.Request) -> str:
    """The server's URL as the browser sees it."""
    return str(request.request.base_url).rstrip("/")


def _folder(settings: Settings, repo_id: str) -> str | None:
    """The folder in which transformers finds the model, or None if it needs none."""
    if repo_id not in checkpoints.repositories(settings.store):
        return None
    return "checkpoints" if CHECKOUT and settings.store == CHECKOUT / "checkpoints" else str(settings.store)
