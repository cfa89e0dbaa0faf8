"""The pane that gives one prompt to several revisions at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.generating import Progress, Task
from app.generation import MARK
from app.models import Models
from app.side_by_side import side_by_side
from app.ui.columns import View, columns
from app.ui.editor import code_editor
from app.ui.pane import MAX_RUNNING
from app.ui.parameters import sampling_params
from app.ui.streaming import buttons
from app.ui.templating import sentence
from santacoder import checkpoints
from santacoder.experiments import EXPERIMENTS, PUBLISHED

MOST = 4
_VIEWS = [("What differs", "differences"), ("Probabilities", "probabilities")]
_HINT = '<p class="empty">What they write appears here side by side, with what differs marked.</p>'
_PROMPT = '''class Stack:
    """A last-in, first-out list."""

    def __init__(self):
        self.items = []

    def push(self, item):
'''


def compare_pane(
    models: Models,
    store: Path,
    tab: gr.Tab,
    revision: list[gr.Dropdown],
    chosen: gr.Dropdown,
    parameters: list[gr.components.Component],
) -> None:
    """Fill the surrounding ``tab``. ``chosen`` is the menu of the revisions to compare."""
    with gr.Column(elem_id="compare"):
        chosen.render()
        prompt = code_editor(_PROMPT, label=f"One prompt for all; {MARK} marks a gap", elem_id="compare-editor")
        with gr.Row(elem_classes="buttons"):
            run = gr.Button("Compare", variant="primary", elem_id="compare-run", elem_classes="run", min_width=90)
            stop = gr.Button("Stop", interactive=False, elem_id="compare-stop", elem_classes="stop", min_width=90)
        view = gr.Radio(_VIEWS, value="differences", label="Show", elem_id="compare-view")
        written = gr.HTML(_HINT, elem_id="compare-columns", apply_default_css=False)
    results = gr.State(([], []))
    quiet = {"show_progress": "hidden", "api_visibility": "private"}

    def compare(names: list[str], code: str, shown: View, *values: Any) -> Iterator[tuple[Any, ...]]:
        try:
            task = _task(code, values)
            revisions = [_parsed(name) for name in _required(names)]
        except ValueError as error:
            yield sentence(str(error)), gr.skip(), *buttons(running=False)
            return
        latest: list[Progress] = []
        for latest in side_by_side(models, revisions, task):
            yield columns(latest, names, shown), gr.skip(), *buttons(running=True)
        yield columns(latest, names, shown), (latest, names), *buttons(running=False)

    def show(shown: View, kept: tuple[list[Progress], list[str]]) -> Any:
        return columns(*kept, shown) if kept[0] else gr.skip()

    tab.select(lambda *values: menu(store, *values), [*revision[:2], chosen], chosen, **quiet)
    running = run.click(
        compare, [chosen, prompt, view, *parameters], [written, results, run, stop], concurrency_limit=MAX_RUNNING,
        concurrency_id="generate", **quiet,
    )  # fmt: skip
    stop.click(lambda: buttons(running=False), None, [run, stop], cancels=[running], **quiet)
    view.input(show, [view, results], written, **quiet)


def revision_menu() -> gr.Dropdown:
    """The menu of the revisions to compare, to be filled with :func:`menu` and rendered by the pane."""
    return gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        max_choices=MOST,
        allow_custom_value=True,
        label="Revisions",
        info="Two to four of them, as model@branch or model@commit.",
        elem_id="compare-revisions",
        render=False,
    )


def menu(store: Path, repo_id: str, branch: str, names: list[str]) -> gr.Dropdown:
    """Every branch there is. Where nothing is chosen: the page's branch, and one beside it."""
    known = [
        f"{name}@{each}" for name in checkpoints.repositories(store) for each in checkpoints.branches(name, store=store)
    ]
    known += [f"{PUBLISHED}@{each}" for each in EXPERIMENTS]
    return gr.Dropdown(choices=known, value=names or _suggested(repo_id, branch, known))


def _suggested(repo_id: str, branch: str, known: list[str]) -> list[str]:
    own = f"{repo_id}@{branch}"
    others = [name for name in known if name.startswith(f"{repo_id}@") and name != own]
    preferred = f"{repo_id}@no-fim"
    return [own, *([preferred] if preferred in others else others[:1])]


def _task(code: str, values: tuple[Any, ...]) -> Task:
    parts = tuple(code.split(MARK))
    return Task("complete" if len(parts) == 1 else "infill", "python", parts, sampling_params(*values))


def _required(names: list[str]) -> list[str]:
    """
    Raises:
        ValueError: there is nothing to compare.
    """
    if not 2 <= len(names) <= MOST:
        raise ValueError(f"Choose two to {MOST} revisions to compare; there {_are(len(names))} chosen.")
    return names


def _are(count: int) -> str:
    return {0: "is none", 1: "is one"}.get(count, f"are {count}")


def _parsed(name: str) -> tuple[str, str]:
    """Model and revision; ``main`` where none is named."""
    repo_id, _, revision = name.strip().partition("@")
    return repo_id, revision or "main"
