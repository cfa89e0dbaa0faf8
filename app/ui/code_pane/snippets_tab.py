"""The tab *As code*: the page's request as a command or program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from app.generation.records import Generation, Language
from app.generation.task import Task
from app.settings import Settings
from app.ui.code_pane.controls import CodePane, Controls
from app.ui.components import LATEST
from app.ui.parameters import OrderChoice, chosen_order, sampling_params
from app.ui.snippets import KINDS, Call, snippet
from santacoder import checkpoints
from santacoder.errors import UserError
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

    def write(
        chosen: str,
        code: str,
        language: Language,
        n: int,
        order: OrderChoice,
        repo_id: str,
        branch: str,
        commit: str,
        request: gr.Request,
        *values: Any,
    ) -> gr.Code:
        *parameters, generation, index = values
        revision, runner = commit or branch, ""
        try:
            if generation is not None and code == generation.code(index):  # this generation made the visible code
                task, revision, runner = _task_of(generation, index), generation.revision, generation.runner
                repo_id = generation.repo_id
            else:
                parts = pane.prompt(code, generation, index)
                sampling = sampling_params(*parameters)
                task = Task(pane.name, language, parts, sampling, chosen_order(order, parts), int(n))
        except UserError as error:
            return gr.Code(f"# {error}")
        call = Call(task, repo_id, revision, _url(request), _folder(settings, repo_id), runner)
        return gr.Code(snippet(chosen, call), language=KINDS[chosen])

    inputs = [pane.editor, pane.language, controls.candidates, pane.order, *controls.revision, *controls.parameters]
    changes = [component.change for component in (*inputs[2:], kind, pane.tokens, pane.index)]
    inputs += [pane.generation, pane.index]
    gr.on([tab.select, pane.editor.blur, *changes], write, [kind, *inputs], shown, **LATEST)
    for event in beginnings:
        event.then(write, [kind, *inputs], shown, **LATEST)


def _task_of(generation: Generation, index: int) -> Task:
    """A task that gives only the candidate number ``index``."""
    completions = generation.candidates[index].completions
    seed = completions[0].seed if completions else generation.sampling.seed
    sampling = replace(generation.sampling, seed=seed)
    return Task(generation.pane, generation.language, generation.parts, sampling, generation.fim_order)


def _url(request: gr.Request) -> str:
    """The server's URL as the browser sees it."""
    return str(request.request.base_url).rstrip("/")


def _folder(settings: Settings, repo_id: str) -> str | None:
    """The folder in which transformers finds the model, or None if it needs none."""
    if repo_id not in checkpoints.repositories(settings.store):
        return None
    return "checkpoints" if CHECKOUT and settings.store == CHECKOUT / "checkpoints" else str(settings.store)
