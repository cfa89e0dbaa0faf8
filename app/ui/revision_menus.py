"""The menus of models, branches and commits."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from app.branch_facts import stages
from app.repositories import Repositories
from app.settings import Settings
from app.ui.components import LATEST, QUIET, Updates
from app.ui.html import percent
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError, Commit, RevisionScore
from santacoder.experiments import EXPERIMENTS, PUBLISHED, experiment

NEWEST = ""
"""The value of the commit menu that stands for the newest commit of the branch."""


class RevisionMenus(NamedTuple):
    """The menus that choose a revision, or updates of them."""

    model: gr.Dropdown
    branch: gr.Dropdown
    commit: gr.Dropdown

    def updates(self, filled: RevisionMenus) -> Updates:
        """``filled`` by the menus it is for."""
        return dict(zip(self, filled, strict=True))


def revision_menus(page: gr.Blocks, settings: Settings) -> tuple[RevisionMenus, gr.events.Dependency]:
    """The menus of model, branch and commit. A change of one fills those after it. All are filled when ``page`` is
    opened; that event is returned."""
    model = gr.Dropdown(
        [settings.model], value=settings.model, label="Model", elem_id="model", allow_custom_value=True, min_width=160
    )
    branch = gr.Dropdown(
        [settings.revision],
        value=settings.revision,
        label="Branch",
        elem_id="branch",
        allow_custom_value=True,
        min_width=160,
    )
    commit = gr.Dropdown(
        [("newest", NEWEST)],
        value=NEWEST,
        label="Commit",
        elem_id="commit",
        allow_custom_value=True,  # a shared commit may not be in the branch
        min_width=160,
    )

    repositories = Repositories(settings)

    def fill_branches(repo_id: str, before: str) -> Updates:
        # leaving the field counts as input, too; the picker and Run say which names are not allowed
        if repo_id == before or not repositories.may_name(repo_id):
            return gr.skip()
        return {
            branch: _branch_menu(settings.store, repo_id, "main"),
            commit: _commit_menu(settings.store, repo_id, "main"),
        }

    js = "(model) => santacoder.picker.entered(model)"
    model.input(fill_branches, [model, model], [branch, commit], js=js, **LATEST)

    def fill_commits(repo_id: str, name: str) -> Updates:
        return {commit: _commit_menu(settings.store, repo_id, name)} if repositories.may_name(repo_id) else gr.skip()

    def fill_all(repo_id: str, name: str, request: gr.Request) -> RevisionMenus:
        """The revision that the page's address names, or else the server's own."""
        asked = dict(request.query_params)
        if "model" in asked:
            try:
                repositories.require(asked["model"])
                return filled_menus(
                    settings.store, asked["model"], asked.get("branch") or "main", asked.get("commit", "")
                )
            except CheckpointError as error:
                gr.Warning(str(error))
        repositories.require(repo_id)
        return filled_menus(settings.store, repo_id, name)

    branch.input(fill_commits, [model, branch], commit, **LATEST)
    filled = page.load(fill_all, [model, branch], [model, branch, commit], **QUIET)
    return RevisionMenus(model, branch, commit), filled


def filled_menus(store: Path, repo_id: str, branch: str, commit: str = "") -> RevisionMenus:
    """Updates of the menus as the store is now, with ``commit`` (empty: the newest) of ``branch`` selected."""
    return RevisionMenus(
        gr.Dropdown(choices=model_names(store, repo_id), value=repo_id),
        _branch_menu(store, repo_id, branch),
        _commit_menu(store, repo_id, branch, commit),
    )


def model_names(store: Path, repo_id: str) -> list[str]:
    """The models of the store, the published one, and ``repo_id`` unless it is empty."""
    names = [*checkpoints.repositories(store), PUBLISHED, repo_id]
    return list(dict.fromkeys(filter(None, names)))


def _branch_menu(store: Path, repo_id: str, chosen: str) -> gr.Dropdown:
    """The branches on this machine with their descriptions, and the published ones; no menu waits for the Hub."""
    published = ["main", *EXPERIMENTS] if repo_id == PUBLISHED else []
    try:
        names = [*checkpoints.branches(repo_id, store=store, ask_hub=False), *published]
    except CheckpointError:  # the typed text is not a model's name
        names = published
    choices = [(_described(store, repo_id, name), name) for name in dict.fromkeys([*names, chosen])]
    return gr.Dropdown(choices=choices, value=chosen)


def _described(store: Path, repo_id: str, branch: str) -> str:
    """The branch with a one-line description: the published experiment, or what the local files say."""
    if repo_id == PUBLISHED:
        known = experiment(branch)
        return f"{branch} — {known.description}" if known else branch
    try:
        # nothing is downloaded just for a menu
        snapshot = checkpoints.resolve(repo_id, branch, store=store, download=False)
        config = checkpoints.read_config(snapshot)
        scores = _headline(checkpoints.read_scores(snapshot))
    except CheckpointError:
        return branch
    attention = "multi-query" if config.multi_query else "multi-head"
    shape = f"{config.n_layer} layers of {config.n_embd} · {config.n_positions:,} positions"
    return " · ".join([f"{branch} — {attention} attention", shape, *scores])


def _headline(scores: list[RevisionScore]) -> list[str]:
    """The scores that fit a line: pass@1 and exact match, the first of each language."""
    by_metric: dict[str, dict[str, str]] = {"pass@1": {}, "exact match": {}}
    for score in scores:
        if score.metric in by_metric:
            by_metric[score.metric].setdefault(score.language, f"{score.language} {percent(score.value, 1)}")
    return [f"{metric}: {', '.join(found.values())}" for metric, found in by_metric.items() if found]


def _commit_menu(store: Path, repo_id: str, branch: str, chosen: str = NEWEST) -> gr.Dropdown:
    """The commits of a branch, newest first; only ``newest`` if its history is not on this machine. A selected commit
    outside the branch, as in a share, is included."""
    try:
        commits = checkpoints.log(repo_id, branch, store=store, ask_hub=False)
    except CheckpointError:
        commits = []
    labels = _labels(commits)
    newest = f"newest: {labels[commits[0].sha]}" if commits else "newest"
    choices = [(newest, NEWEST), *((labels[commit.sha], commit.sha) for commit in commits[1:])]
    if chosen not in [sha for _, sha in choices]:
        label = labels.get(chosen, f"commit {chosen[:8]}")
        choices.append((label, chosen))
    return gr.Dropdown(choices=choices, value=chosen)


def _labels(newest_first: list[Commit]) -> dict[str, str]:
    """Stage of training if there are several, step, validation loss and sha, if known, by sha."""
    numbers = stages(newest_first[::-1])[::-1]
    several = len(set(numbers)) > 1
    labels = {}
    for commit, number in zip(newest_first, numbers, strict=True):
        stage = f"stage {number}" if several else ""
        step = f"step {commit.step:,}" if commit.step is not None else ""
        loss = f"loss {commit.validation_loss:.3f}" if commit.validation_loss is not None else ""
        labels[commit.sha] = " · ".join(filter(None, [stage, step, loss, commit.title, commit.sha[:8]]))
    return labels
