"""The pill that names the chosen revision, and the picker that it opens: models, branches and commits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import gradio as gr

from app.branch_facts import Branch, read_branches, stages
from app.errors import sentence_for
from app.repositories import Repositories
from app.settings import Settings
from app.ui.about_model import about_model
from app.ui.branches.chart import branch_chart, metrics_of
from app.ui.components import QUIET, Updates, failure
from app.ui.html import percent, render
from app.ui.inputs import event_value
from app.ui.revision_menus import NEWEST, RevisionMenus, filled_menus, model_names, revision_menus
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError, Commit
from santacoder.experiments import PUBLISHED, Experiment

_MOST_COMMITS = 50
# one after the other: otherwise the lists as they were when the picker was opened could replace those after a choice
_IN_TURN: dict[str, Any] = {**QUIET, "concurrency_limit": 1, "concurrency_id": "picker"}
_LOADING = '<p class="empty">Reading the models on this machine …</p>'
_ON_LOAD = "santacoder.picker.follow(trigger);"
_GOOD_FOR = {
    "santacoder/mini": "Short completions and gaps, at once. The one to start with, and to teach.",
    "santacoder/nano": "The paper's eight experiments in miniature. For comparing them, not for writing code.",
    PUBLISHED: "The published model: functions from a signature or a comment.",
}
_PUBLISHED_SIZE = "1.1 B parameters"
_DIFFERENCES = {
    "mha": "Multi-head instead of multi-query attention",
    "no-fim": "Trained without gaps: continues code, but fills gaps badly",
    "fim": "The reference: multi-query attention, fill-in-the-middle",
    "stars": "Only repositories with 5 GitHub stars or more",
    "fertility": "Only files with many characters per token",
    "comments": "Only files with 1 % to 80 % comments",
    "dedup-alt": "Near-duplicates removed more strictly",
    "final": "The filters comments and dedup-alt, twice the steps",
}


def revision_picker(page: gr.Blocks, settings: Settings) -> tuple[RevisionMenus, gr.events.Dependency]:
    """The pill and, in the picker, the menus. The event after which the menus are filled is returned, too."""
    gr.HTML(
        render("pill", model=settings.model, branch=settings.revision, browser_site=settings.browser_site),
        elem_id="pill-box",
    )
    with gr.Column(elem_id="picker"):
        lists = gr.HTML(_LOADING, js_on_load=_ON_LOAD, elem_id="picker-lists", apply_default_css=False)
        with gr.Row(elem_id="picker-names"):
            menus, filled = revision_menus(page, settings)
        with gr.Row(elem_id="picker-foot"):
            gr.Button("Type a name", elem_id="picker-type", min_width=88)
            gr.Button("Done", variant="primary", elem_id="picker-done", min_width=88)
    repositories = Repositories(settings)

    def show(repo_id: str, branch: str, commit: str) -> str:
        return picker_lists(repositories, settings.store, repo_id, branch, commit)

    def pick(repo_id: str, branch: str, commit: str, event: gr.EventData) -> Updates:
        """Choose a model, a branch of it, or a commit of that; what comes after it begins anew. Or choose all three."""
        kind, value = event_value(event, "kind", str), event_value(event, "value", str)
        if kind == "revision":
            chosen = (value, event_value(event, "branch", str), event_value(event, "commit", str))
        else:
            chosen = {
                "model": (value, "main", NEWEST),
                "branch": (repo_id, value, NEWEST),
                "commit": (repo_id, branch, value),
            }.get(kind, (repo_id, branch, commit))
        if not repositories.may_name(chosen[0]):  # the lists say so
            return {lists: show(*chosen)}
        return {**menus.updates(filled_menus(settings.store, *chosen)), lists: show(*chosen)}

    lists.click(show, [*menus], lists, **_IN_TURN)
    lists.select(pick, [*menus], [*menus, lists], trigger_mode="always_last", **_IN_TURN)
    for menu in menus:  # typed names
        menu.input(show, [*menus], lists, **_IN_TURN)
    js = "(...revision) => santacoder.picker.name(...revision)"
    gr.on([menu.change for menu in menus], None, [*menus], None, js=js, **QUIET)
    # until then, the menus would overwrite a choice
    js = "(...revision) => santacoder.picker.enable(...revision)"
    filled.then(None, [*menus], None, js=js, **QUIET)
    return menus, filled


def picker_lists(repositories: Repositories, store: Path, repo_id: str, branch: str, commit: str) -> str:
    """HTML: the models, the branches of ``repo_id``, the commits of ``branch``, and what is known about it."""
    problem, branches = "", []
    try:
        repositories.require(repo_id)
        branches = read_branches(repo_id, store)
    except CheckpointError as error:
        problem = failure(sentence_for(error))
    shown = next((one for one in branches if one.name == branch), None)
    return render(
        "picker",
        models=[_model(store, name) for name in model_names(store, "")],
        repo_id=repo_id,
        branches=[
            _Item(one.name, one.name, _difference(one), _score(one))
            for one in sorted(branches, key=lambda one: one.name != "main")
        ],
        branch=branch,
        problem=problem,
        about=about_model(repo_id, shown, store) if shown else "",
        chart=_chart(shown) if shown else "",
        commits=_commits(shown.commits) if shown else [],
        commit=commit,
        several_stages=shown is not None and len(set(stages(shown.commits))) > 1,
        left_out=max(0, len(shown.commits) - _MOST_COMMITS) if shown else 0,
    )


def _chart(branch: Branch) -> str:
    metric, first = "validation_loss", len(branch.commits) - _MOST_COMMITS + 1  # others cannot be chosen
    return branch_chart([branch], branch, metric, first=first) if metric in metrics_of(branch) else ""


@dataclass(frozen=True)
class _Item:
    """A choice: ``value`` is what is chosen, ``number`` a commit's number in the chart."""

    value: str
    name: str
    about: str
    figure: str = ""
    number: int = 0


def _model(store: Path, repo_id: str) -> _Item:
    size, about = "", _GOOD_FOR.get(repo_id, "")
    try:
        snapshot = checkpoints.resolve(repo_id, store=store, download=False)
        size = f"{checkpoints.read_config(snapshot).n_parameters / 1e6:,.1f} M parameters"
    except CheckpointError:
        size = _PUBLISHED_SIZE if repo_id == PUBLISHED else ""
        about = f"{about} Its weights are not on this machine yet.".strip()
    return _Item(repo_id, repo_id.split("/")[-1], about or "Published on this machine.", size)


def _difference(branch: Branch) -> str:
    """What distinguishes the branch from the model's others."""
    repeated: Experiment | None = branch.experiment
    if repeated is not None:
        return _DIFFERENCES[repeated.branch]
    newest = branch.newest
    if newest is None or not newest.tokens:
        return ""
    return f"{newest.tokens / 1e6:,.1f} M tokens in {newest.step or 0:,} steps"


def _score(branch: Branch) -> str:
    """The score that tells most: of held-out files for our own models, of HumanEval for the published ones.

    The mean over the languages of the benchmark goes first, because its files are the same for every branch, while each
    run validates on files of its own.
    """
    measured = [score.value for score in branch.scores if score.metric == "bits per byte"]
    if measured:
        return f"{fmean(measured):.2f} bits per byte"
    newest = branch.newest
    if newest is not None and "bits_per_byte" in newest.metrics:
        return f"{newest.metrics['bits_per_byte']:.2f} bits per byte"
    if newest is not None and newest.validation_loss is not None:
        return f"loss {newest.validation_loss:.2f}"
    of_python = [
        score
        for score in branch.scores
        if score.benchmark == "multipl-e-humaneval" and score.language == "python" and score.metric.startswith("pass@")
    ]
    return f"HumanEval {of_python[-1].metric} {percent(of_python[-1].value)}" if of_python else ""


def _commits(oldest_first: list[Commit]) -> list[_Item]:
    """Newest first, in the order of training."""
    numbers = stages(oldest_first)
    items = []
    for number, (commit, stage) in enumerate(zip(oldest_first, numbers, strict=True), 1):
        is_newest = number == len(oldest_first)
        step = f"step {commit.step:,}" if commit.step is not None else commit.title or commit.sha[:8]
        name = f"stage {stage}, {step}" if numbers[-1] > 1 else step
        loss = f"loss {commit.validation_loss:.3f}" if commit.validation_loss is not None else ""
        about = " · ".join(filter(None, ["newest" if is_newest else "", commit.date[:10], commit.sha[:8]]))
        items.append(_Item(NEWEST if is_newest else commit.sha, name, about, loss, number))
    return items[::-1][:_MOST_COMMITS]
