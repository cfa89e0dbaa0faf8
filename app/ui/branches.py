"""The pane of a model's branches: the experiments, how their training went, and what they wrote on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.branch_facts import Branch, read_branches
from app.generating import Task
from app.generation import MARK
from app.models import Models
from app.replay import Replays
from app.ui.branch_chart import METRICS, branch_chart, metrics_of
from app.ui.branch_table import about_branch, branch_table
from app.ui.editor import code_editor
from app.ui.film import film
from app.ui.pane import MAX_RUNNING
from app.ui.revision_menus import filled_menus
from app.ui.streaming import buttons
from app.ui.templating import sentence
from santacoder.checkpoints import CheckpointError, Commit
from santacoder.sampling import SamplingParams

_CHOOSE_BRANCH = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-branch]");
  if (button) trigger("select", { branch: button.dataset.branch });
});
"""
_SHOW_COMMIT = (Path(__file__).parent / "branches.js").read_text()
_MOVE = """(number) => {
  document.querySelector("#branches-film").dispatchEvent(new CustomEvent("commit", { detail: number }));
}"""
NO_CURVE = '<p class="empty">No curve was kept with this branch.</p>'
_PROMPT = '''import json


def read_config(path):
    """Return the settings in a JSON file."""
'''


def branches_pane(
    models: Models,
    store: Path,
    tabs: gr.Tabs,
    tab: gr.Tab,
    revision: list[gr.Dropdown],
    compared: gr.Dropdown,
) -> None:
    """Fill the surrounding ``tab``. ``compared`` is the menu of the revisions that the Compare pane shows."""
    replays = Replays(models)
    with gr.Column(elem_id="branches"):
        table = gr.HTML(elem_id="branches-table", apply_default_css=False, js_on_load=_CHOOSE_BRANCH)
        about = gr.HTML(elem_id="branches-about", apply_default_css=False)
        with gr.Row(equal_height=False, visible=False, elem_id="branches-training") as training:
            with gr.Column(min_width=280):
                metric = gr.Dropdown([], label="Curve", elem_id="branches-metric")
                curves = gr.HTML(elem_id="branches-chart", apply_default_css=False)
                slider = gr.Slider(
                    1, 2, 1, step=1, label="Commit", info="Drag through the training.", elem_id="branches-commit",
                    buttons=[],
                )  # fmt: skip
                with gr.Row(elem_classes="buttons"):
                    use = gr.Button("Complete with this commit", elem_id="branches-use", min_width=90)
                    compare = gr.Button("Compare with the newest", elem_id="branches-compare", min_width=90)
            with gr.Column(min_width=280):
                prompt = code_editor(_PROMPT, label="One prompt for every commit", elem_id="branches-prompt")
                length = gr.Slider(8, 256, 48, step=8, label="New tokens", elem_id="branches-length", buttons=[])
                with gr.Row(elem_classes="buttons"):
                    run = gr.Button(
                        "Replay", variant="primary", elem_id="branches-run", elem_classes="run", min_width=90
                    )
                    stop = gr.Button(
                        "Stop", interactive=False, elem_id="branches-stop", elem_classes="stop", min_width=90
                    )
                frames = gr.HTML(elem_id="branches-film", apply_default_css=False, js_on_load=_SHOW_COMMIT)
    # the commits that the slider goes through, oldest first
    commits = gr.State([])
    follow = {"show_progress": "hidden", "api_visibility": "private"}
    shown = [table, about, training, metric, curves, slider, frames, commits]

    def look(repo_id: str, name: str, drawn: str | None) -> tuple[Any, ...]:
        try:
            branches = read_branches(repo_id, store)
        except CheckpointError as error:
            return (sentence(str(error)), "", gr.Row(visible=False), *[gr.skip()] * 4, [])
        chosen = _chosen(branches, name)
        drawable = metrics_of(chosen)
        drawn = drawn if drawn in drawable else next(iter(drawable), None)
        n_commits = len(chosen.commits)
        return (
            branch_table(branches, chosen.name),
            about_branch(repo_id, chosen, branches),
            gr.Row(visible=n_commits > 0),
            gr.Dropdown([(METRICS[name], name) for name in drawable], value=drawn, visible=len(drawable) > 1),
            branch_chart(branches, chosen, drawn) if drawn else NO_CURVE,
            gr.Slider(1, max(2, n_commits), n_commits, visible=n_commits > 1),
            film(chosen.commits),
            chosen.commits,
        )

    def choose(repo_id: str, event: gr.EventData) -> list[gr.Dropdown]:
        return filled_menus(store, repo_id, str(event.branch))

    def draw(repo_id: str, name: str, drawn: str) -> str:
        branches = read_branches(repo_id, store)
        return branch_chart(branches, _chosen(branches, name), drawn)

    def replay(code: str, n_tokens: int, repo_id: str, known: list[Commit]) -> Iterator[tuple[Any, ...]]:
        sampling = SamplingParams(max_new_tokens=int(n_tokens), temperature=0)
        parts = tuple(code.split(MARK))
        task = Task("complete" if len(parts) == 1 else "infill", "python", parts, sampling)
        at = None
        for state in replays.replay(repo_id, [commit.sha for commit in known], task):
            moved = gr.skip() if state.current == at else state.current + 1
            at = state.current
            yield film(known, state), moved, *buttons(running=not state.finished)

    def use_commit(number: int, repo_id: str, branch: str, known: list[Commit]) -> list[Any]:
        return [*filled_menus(store, repo_id, branch, known[number - 1].sha), gr.Tabs(selected="complete")]

    def compare_commit(number: int, repo_id: str, branch: str, known: list[Commit]) -> list[Any]:
        other = known[0].sha[:12] if number == len(known) else branch
        return [[f"{repo_id}@{known[number - 1].sha[:12]}", f"{repo_id}@{other}"], gr.Tabs(selected="compare")]

    gr.on([tab.select, revision[0].change, revision[1].change], look, [*revision[:2], metric], shown, **follow)
    table.select(choose, revision[0], revision, **follow)
    metric.input(draw, [*revision[:2], metric], curves, **follow)
    slider.change(None, slider, None, js=_MOVE, api_visibility="private")
    running = run.click(
        replay, [prompt, length, revision[0], commits], [frames, slider, run, stop], concurrency_limit=MAX_RUNNING,
        concurrency_id="generate", **follow,
    )  # fmt: skip
    stop.click(lambda: buttons(running=False), None, [run, stop], cancels=[running], **follow)
    use.click(use_commit, [slider, *revision[:2], commits], [*revision, tabs], **follow)
    compare.click(compare_commit, [slider, *revision[:2], commits], [compared, tabs], **follow)


def _chosen(branches: list[Branch], name: str) -> Branch:
    """The branch of that name, or ``main``, or the first."""
    by_name = {branch.name: branch for branch in branches}
    return by_name.get(name) or by_name.get("main") or branches[0]
