"""The Train pane: what to learn from, the progress, the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.errors import without_paths
from app.repositories import Repositories
from app.training_jobs import Jobs
from app.training_permission import TrainingPermission
from app.training_request import JobRequest
from app.ui.caller import caller
from app.ui.components import LATEST, QUIET, Updates, failure, status_line
from app.ui.revision_menus import RevisionMenus, filled_menus
from app.ui.train.form import Form, FormValues, SampleJob, job_form, source_cards
from app.ui.train.job_view import JobView, files_html, job_view, look
from santacoder.checkpoints import CheckpointError
from santacoder.errors import UserError


@dataclass(frozen=True)
class TrainPane:
    """The parts of the pane that *Teach it a sample project* needs. ``published`` is the name of the newest job that
    published something, and changes when one does; ``refusal`` says why a job cannot be started."""

    view: JobView
    refusal: gr.HTML
    published: gr.State


def train_pane(
    jobs: Jobs,
    permission: TrainingPermission,
    repositories: Repositories,
    tabs: gr.Tabs,
    tab: gr.Tab,
    revision: RevisionMenus,
    store: Path,
    sample_job: SampleJob,
) -> TrainPane:
    """Fill the surrounding ``tab``.

    Args:
        jobs: the training jobs.
        permission: who may train.
        repositories: which models may be tuned.
        tabs: the tabs of all panes.
        tab: the tab of this pane.
        revision: the menus of model, branch and commit.
        store: folder of published models.
        sample_job: what the form begins with for the sample project.
    """
    source = source_cards()
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280, scale=1):
            form = job_form(source, sample_job)
            with gr.Row(elem_classes="actions"):
                start = gr.Button("Start training", variant="primary", elem_id="train-start", min_width=120)
                check = gr.Button("Check the files", elem_id="train-check", min_width=120)
            refusal = gr.HTML(elem_id="train-refusal")
        view = job_view()
    published = gr.State("")
    _connect_starting(form, start, check, refusal, view, jobs, permission, repositories, revision)
    _connect_following(view, published, jobs, permission, repositories, tabs, tab, revision, store)
    return TrainPane(view, refusal, published)


def _connect_starting(
    form: Form,
    start: gr.Button,
    check: gr.Button,
    refusal: gr.HTML,
    view: JobView,
    jobs: Jobs,
    permission: TrainingPermission,
    repositories: Repositories,
    revision: RevisionMenus,
) -> None:
    """Connect the buttons that start a job or check its data. ``refusal`` shows what was found, or why neither is
    possible."""

    def request_of(values: dict[str, Any]) -> JobRequest:
        permission.require(caller())
        request = FormValues(**values).job(lambda folder: permission.folder(folder, caller()))
        if request.base:  # the job would look for any name on the Hub, or treat it as a folder
            base, _, at = request.base.partition("@")
            repositories.snapshot(base, at)
        return request

    def begin(**values: Any) -> Updates:
        try:
            name = jobs.start(request_of(values))
        except (UserError, CheckpointError, OSError) as error:
            return {refusal: failure(without_paths(str(error)))}
        return {refusal: "", **look(view, jobs, name)}

    def say_what_remains(**values: Any) -> str:
        try:
            return files_html(jobs.check(request_of(values)))
        except (UserError, CheckpointError, OSError) as error:
            return failure(without_paths(str(error)))

    given = {**form.values, **revision._asdict()}
    start.click(begin, None, [refusal, *view.shown], inputs_kwargs=given, **QUIET)
    checked = gr.on([check.click, form.folder.submit, form.archive.upload], lambda: _READING, None, refusal, **QUIET)
    checked.then(say_what_remains, None, refusal, inputs_kwargs=given, **QUIET)


_READING = status_line("Reading the files …")


def _connect_following(
    view: JobView,
    published: gr.State,
    jobs: Jobs,
    permission: TrainingPermission,
    repositories: Repositories,
    tabs: gr.Tabs,
    tab: gr.Tab,
    revision: RevisionMenus,
    store: Path,
) -> None:
    """Show a job when the pane is opened and while any is running, and connect the buttons below it."""

    def show(name: str | None) -> Updates:
        if not permission.is_given(caller()):
            return gr.skip()  # the pane itself says who may train
        return look(view, jobs, name) or gr.skip()

    def follow(name: str | None, seen: str, model: str, branch: str, commit: str) -> Updates:
        """Updates of everything shown, and of the menus after a new publication."""
        if not permission.is_given(caller()):
            return gr.skip()
        repositories.require(model)
        newest = max((job.name for job in jobs.all() if job.commit), default="")
        menus = revision.updates(filled_menus(store, model, branch, commit)) if newest != seen else {}
        return {**look(view, jobs, name), published: newest, **menus}

    def stop_it(name: str) -> None:
        permission.require(caller())
        jobs.stop(name)

    def resume_it(name: str) -> None:
        permission.require(caller())
        jobs.resume(name)

    def use_it(name: str) -> Updates:
        permission.require(caller())
        chosen = jobs.job(name)
        menus = filled_menus(store, chosen.repo_id, chosen.branch)
        return {**revision.updates(menus), tabs: gr.Tabs(selected="complete")}

    view.timer.tick(
        follow,
        None,
        [*view.shown, published, *revision],
        inputs_kwargs={"name": view.job, "seen": published, **revision._asdict()},
        **QUIET,
    )
    gr.on([tab.select, view.job.input], show, view.job, view.shown, **LATEST)
    view.stop.click(stop_it, view.job, None, **QUIET).then(show, view.job, view.shown, **QUIET)
    view.resume.click(resume_it, view.job, None, **QUIET).then(show, view.job, view.shown, **QUIET)
    view.use.click(use_it, view.job, [*revision, tabs], **QUIET)
