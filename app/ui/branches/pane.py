"""The Branches pane: a model's branches, their training curves, and a replay of their commits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.branch_facts import Branch, read_branches, with_several_branches
from app.errors import ShareError, sentence_for
from app.generation.records import Language
from app.generation.replay import Replays, as_ended
from app.limits import Limits
from app.model_pool import Models
from app.repositories import Repositories
from app.shares.rates import Rate
from app.shares.store import ShareStore
from app.ui.branches.chart import METRICS, branch_chart, metrics_of
from app.ui.branches.examples import EXAMPLES
from app.ui.branches.replay_view import film as film_of
from app.ui.branches.table import about_branch, branch_table
from app.ui.caller import admitted, in_time
from app.ui.components import (
    LATEST,
    MAX_RUNNING,
    QUIET,
    Updates,
    failure,
    prompt_editor,
    prompt_task,
    run_and_stop,
    running_state,
)
from app.ui.inputs import event_value
from app.ui.revision_menus import RevisionMenus, filled_menus
from santacoder.checkpoints import CheckpointError, Commit
from santacoder.errors import UserError
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
_NO_CURVE = '<p class="empty">This branch has no training curve.</p>'


@dataclass(frozen=True)
class _Parts:
    """The components of the pane. ``commits`` contains the commits of the slider, oldest first."""

    table: gr.HTML
    about: gr.HTML
    training: gr.Row
    metric: gr.Dropdown
    chart: gr.HTML
    slider: gr.Slider
    use: gr.Button
    compare: gr.Button
    language: gr.Radio
    prompt: gr.Code
    length: gr.Slider
    run: gr.Button
    stop: gr.Button
    film: gr.HTML
    commits: gr.State

    def ended(self) -> Updates:
        """Updates of Run and Stop when nothing runs any more."""
        return running_state(self.run, self.stop, running=False)


def branches_pane(
    models: Models,
    limits: Limits,
    store: Path,
    tabs: gr.Tabs,
    tab: gr.Tab,
    revision: RevisionMenus,
    compared: gr.Dropdown,
    shares: ShareStore,
) -> None:
    """Fill the surrounding ``tab``.

    Args:
        models: the loaded models, for the replay.
        limits: limits of clients.
        store: folder of published models.
        tabs: the tabs of all panes.
        tab: the tab of this pane.
        revision: the menus of model, branch and commit.
        compared: the revision menu of the Compare pane.
        shares: votes of blind comparisons and feedback of editors, for the rates of the branches.
    """
    with gr.Column(elem_id="branches"):
        parts = _layout()
    running = _connect_replay(parts, Replays(models), limits, revision.model)
    _connect_looking(parts, models.repositories, store, tab, revision, shares, running)
    _connect_commit(parts, store, tabs, revision, compared)


def _layout() -> _Parts:
    table = gr.HTML(elem_id="branches-table", apply_default_css=False, js_on_load=_CHOOSE_BRANCH)
    about = gr.HTML(elem_id="branches-about", apply_default_css=False)
    with gr.Row(equal_height=False, visible=False) as training:
        with gr.Column(min_width=280):
            metric = gr.Dropdown([], label="Curve", elem_id="branches-metric")
            chart = gr.HTML(elem_id="branches-chart", apply_default_css=False)
            slider = gr.Slider(
                1, 2, 1, step=1, label="Commit", info="Oldest to newest.", elem_id="branches-commit",
                buttons=[],
            )  # fmt: skip
            with gr.Row(elem_classes="actions"):
                use = gr.Button("Complete with this commit", elem_id="branches-use", min_width=90)
                compare = gr.Button("Compare this commit", elem_id="branches-compare", min_width=90)
        with gr.Column(min_width=280):
            language, prompt = prompt_editor("branches", EXAMPLES, "Prompt for every commit")
            length = gr.Slider(8, 256, 48, step=8, label="Maximum length", elem_id="branches-length", buttons=[])
            with gr.Row(elem_classes="actions"):
                run, stop = run_and_stop("branches", "Replay")
            film = gr.HTML(elem_id="branches-film", apply_default_css=False, js_on_load=_SHOW_COMMIT)
    return _Parts(
        table, about, training, metric, chart, slider, use, compare, language, prompt, length, run, stop, film,
        commits=gr.State([]),
    )  # fmt: skip


def _connect_looking(
    parts: _Parts,
    repositories: Repositories,
    store: Path,
    tab: gr.Tab,
    revision: RevisionMenus,
    shares: ShareStore,
    running: gr.events.Dependency,
) -> None:
    """Show the model and branch of the menus, for which a ``running`` replay ends; a click in the table sets the
    menus."""
    outputs = [
        parts.table, parts.about, parts.training, parts.metric, parts.chart, parts.slider, parts.film, parts.commits,
    ]  # fmt: skip

    def look(model: str, branch: str, metric: str | None, commits: list[Commit]) -> Updates:
        try:
            repositories.require(model)
            branches = read_branches(model, store)
        except CheckpointError as error:
            return {
                parts.table: failure(sentence_for(error)),
                parts.about: "",
                parts.training: gr.Row(visible=False),
                parts.commits: [],
            }
        chosen = _chosen(branches, branch)
        metrics = metrics_of(chosen)
        metric = metric if metric in metrics else next(iter(metrics), None)
        n_commits = len(chosen.commits)
        others = with_several_branches(repositories.names(), store) if len(branches) == 1 else []
        choices = [(METRICS[each], each) for each in metrics]
        updates: Updates = {
            parts.table: branch_table(branches, chosen.name, *_rates(shares, model)),
            parts.about: about_branch(model, chosen, branches, others),
            parts.training: gr.Row(visible=n_commits > 0),
            parts.metric: gr.Dropdown(choices, value=metric, visible=len(metrics) > 1),
            parts.chart: branch_chart(branches, chosen, metric) if metric else _NO_CURVE,
        }
        if chosen.commits != commits:  # for the same commits, the replay and the slider's position are kept
            updates |= {
                parts.slider: gr.Slider(1, max(2, n_commits), n_commits, visible=n_commits > 1),
                parts.film: film_of(chosen.commits),
                parts.commits: chosen.commits,
            }
        return updates

    def draw(model: str, branch: str, metric: str) -> str:
        repositories.require(model)
        branches = read_branches(model, store)
        return branch_chart(branches, _chosen(branches, branch), metric)

    def choose(repo_id: str, event: gr.EventData) -> Updates:
        repositories.require(repo_id)
        return revision.updates(filled_menus(store, repo_id, event_value(event, "branch", str)))

    inputs: dict[str, Any] = {"model": revision.model, "branch": revision.branch, "metric": parts.metric}
    shown = {"outputs": outputs, "inputs_kwargs": {**inputs, "commits": parts.commits}, **LATEST}
    tab.select(look, **shown)
    # otherwise it would go on with the commits of the branch before
    left = gr.on([revision.model.change, revision.branch.change], None, None, None, cancels=[running], **QUIET)
    left.then(look, **shown).then(parts.ended, None, [parts.run, parts.stop], **QUIET)
    parts.metric.input(draw, None, parts.chart, inputs_kwargs=inputs, **LATEST)
    parts.table.select(choose, revision.model, [*revision], **LATEST)


def _connect_replay(parts: _Parts, replays: Replays, limits: Limits, model_menu: gr.Dropdown) -> gr.events.Dependency:
    """Connect the buttons below the prompt; the event that runs the replay is returned."""

    def replay(code: str, language: Language, n_tokens: int, model: str, commits: list[Commit]) -> Iterator[Updates]:
        # greedy decoding, so that only the training differs
        sampling = SamplingParams(max_new_tokens=int(n_tokens), temperature=0, stop_at="block", stop_repetition=True)
        number = None
        try:
            task = prompt_task(code, language, sampling)
            with admitted(limits, task.n_texts, sampling.max_new_tokens) as client:  # one commit at a time
                task = replace(task, client=client)
                states = replays.replay(model, [commit.sha for commit in commits], task)
                for state in in_time(limits, states, lambda state: as_ended(state, limits.time_is_over)):
                    moved = {} if state.current == number else {parts.slider: state.current + 1}
                    number = state.current
                    buttons = running_state(parts.run, parts.stop, running=not state.finished)
                    yield {parts.film: film_of(commits, state), **moved, **buttons}
        except UserError as error:
            yield {parts.film: failure(str(error)), **parts.ended()}

    running = parts.run.click(
        replay,
        None,
        [parts.film, parts.slider, parts.run, parts.stop],
        inputs_kwargs={
            "code": parts.prompt,
            "language": parts.language,
            "n_tokens": parts.length,
            "model": model_menu,
            "commits": parts.commits,
        },
        concurrency_limit=MAX_RUNNING,
        concurrency_id="generate",
        **QUIET,
    )
    running.then(parts.ended, None, [parts.run, parts.stop], **QUIET)
    running.failure(film_of, parts.commits, parts.film, **QUIET)
    # once nothing more can arrive
    parts.stop.click(None, None, None, cancels=[running], **QUIET).then(
        parts.ended, None, [parts.run, parts.stop], **QUIET
    )
    return running


def _connect_commit(parts: _Parts, store: Path, tabs: gr.Tabs, revision: RevisionMenus, compared: gr.Dropdown) -> None:
    """Connect the slider: the commit is shown in the browser, and can be opened in the other panes."""

    def use(number: int, model: str, branch: str, commits: list[Commit]) -> Updates:
        filled = filled_menus(store, model, branch, commits[number - 1].sha)
        return {**revision.updates(filled), tabs: gr.Tabs(selected="complete")}

    def compare(number: int, model: str, branch: str, commits: list[Commit]) -> Updates:
        """Compare a commit with the newest one, or the newest one with the first."""
        is_newest = number == len(commits)
        shown = [branch, commits[0].sha[:12]] if is_newest else [commits[number - 1].sha[:12], branch]
        names = dict.fromkeys(f"{model}@{each}" for each in (shown if len(commits) > 1 else [branch]))
        return {compared: list(names), tabs: gr.Tabs(selected="compare")}

    chosen: dict[str, Any] = {
        "number": parts.slider,
        "model": revision.model,
        "branch": revision.branch,
        "commits": parts.commits,
    }
    parts.slider.change(None, parts.slider, None, js=_MOVE, **QUIET)
    parts.use.click(use, None, [*revision, tabs], inputs_kwargs=chosen, **QUIET)
    parts.compare.click(compare, None, [compared, tabs], inputs_kwargs=chosen, **QUIET)


def _rates(shares: ShareStore, repo_id: str) -> tuple[dict[str, Rate], dict[str, Rate]]:
    """The branches' win rates in blind votes, and the acceptance rates of their suggestions in editors."""
    try:
        return shares.votes.win_rates(repo_id), shares.signals.acceptance(repo_id)
    except ShareError:  # the table does without
        return {}, {}


def _chosen(branches: list[Branch], name: str) -> Branch:
    """The branch ``name``, or ``main``, or the first."""
    by_name = {branch.name: branch for branch in branches}
    return by_name.get(name) or by_name.get("main") or branches[0]
