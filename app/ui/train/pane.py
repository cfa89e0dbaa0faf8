"""The Train pane: what to learn from, the progress, the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.errors import without_paths
from app.repositories import Repositories
from app.training_data import CheckEnded
from app.training_jobs import Jobs
from app.training_permission import TrainingPermission
from app.training_request import JobRequest
from app.ui.caller import caller
from app.ui.components import LATEST, QUIET, Updates, failure, status_line
from app.ui.revision_menus import RevisionMenus, filled_menus
from app.ui.train.form import Form, FormDefaults, FormValues, job_form, source_cards
from app.ui.train.job_view import JobView, files_html, job_view, look
from santacoder import pytorch
from santacoder.checkpoints import CheckpointError
from santacoder.errors import UserError


@dataclass(frozen=True)
class Trainings:
    """What the server's trainings need: the jobs, who may start them, which models may be tuned, and the folder of
    published models."""

    jobs: Jobs
    permission: TrainingPermission
    repositories: Repositories
    store: Path


@dataclass(frozen=True)
class TrainPane:
    """The parts of the pane that *Teach it a sample project* needs. ``published`` is the name of the newest job that
    published something, and changes when one does; ``refusal`` says why a job cannot be started."""

    view: JobView
    refusal: gr.HTML
    published: gr.State


def train_pane(
    trainings: Trainings, tabs: gr.Tabs, tab: gr.Tab, revision: RevisionMenus, sample_defaults: FormDefaults
) -> TrainPane:
    """Fill the surrounding ``tab``, which is one of ``tabs``. ``revision`` are the menus of model, branch and commit;
    for the sample project, the form begins with ``sample_defaults``.
    """
    if not pytorch.is_installed():
        gr.HTML(failure(pytorch.how_to_install("Training")), elem_id="train-without-pytorch")
    source = source_cards()
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280, scale=1):
            form = job_form(source, sample_defaults)
            with gr.Row(elem_classes="actions"):
                start = gr.Button(
                    "Start training",
                    variant="primary",
                    interactive=pytorch.is_installed(),
                    elem_id="train-start",
                    min_width=120,
                )
                check = gr.Button("Check the files", elem_id="train-check", min_width=120)
            refusal = gr.HTML(elem_id="train-refusal")
        pane = TrainPane(job_view(), refusal, gr.State(""))
    _connect_starting(pane, form, start, check, trainings, revision)
    _connect_following(pane, trainings, tabs, tab, revision)
    return pane


def _connect_starting(
    pane: TrainPane, form: Form, start: gr.Button, check: gr.Button, trainings: Trainings, revision: RevisionMenus
) -> None:
    """Connect the buttons that start a job or check its data. The pane's refusal shows what was found, or why neither
    is possible."""
    jobs, permission, refusal = trainings.jobs, trainings.permission, pane.refusal

    def request_of(values: dict[str, Any]) -> JobRequest:
        permission.require(caller())
        request = FormValues(**values).job(lambda folder: permission.folder(folder, caller()))
        if request.base:  # the job would look for any name on the Hub, or treat it as a folder
            base, _, at = request.base.partition("@")
            trainings.repositories.snapshot(base, at)
        return request

    def begin(**values: Any) -> Updates:
        try:
            name = jobs.start(request_of(values))
        except (UserError, CheckpointError, OSError) as error:
            return {refusal: failure(without_paths(str(error)))}
        return {refusal: "", **look(pane.view, jobs, name)}

    def say_reading(request: gr.Request) -> str:
        jobs.end_check(str(request.session_hash))  # what was chosen before is of no interest any more
        return _READING

    def say_what_remains(request: gr.Request, **values: Any) -> Any:
        try:
            return files_html(jobs.check(request_of(values), str(request.session_hash)))
        except CheckEnded:
            return gr.skip()  # the check that ended this one follows
        except (UserError, CheckpointError, OSError) as error:
            return failure(without_paths(str(error)))

    given = {**form.values, **revision._asdict()}
    start.click(begin, None, [refusal, *pane.view.shown], inputs_kwargs=given, **QUIET)
    checked = gr.on([check.click, form.folder.submit, form.archive.upload], say_reading, None, refusal, **LATEST)
    checked.then(say_what_remains, None, refusal, inputs_kwargs=given, **LATEST)


_READING = status_line("Reading the files …")


def _connect_following(
    pane: TrainPane, trainings: Trainings, tabs: gr.Tabs, tab: gr.Tab, revision: RevisionMenus
) -> None:
    """Show a job when the pane is opened and while any is running, and connect the buttons below it."""
    view, jobs, permission = pane.view, trainings.jobs, trainings.permission

    def show(name: str | None) -> Updates:
        if not permission.is_given(caller()):
            return gr.skip()  # the pane itself says who may train
        return look(view, jobs, name) or gr.skip()

    def follow(name: str | None, seen: str, model: str, branch: str, commit: str) -> Updates:
        """Updates of everything shown, and of the menus after a new publication."""
        if not permission.is_given(caller()):
            return gr.skip()
        newest = max((job.name for job in jobs.all() if job.commit), default="")
        # the visitor may be typing a name, which is no model until it is complete
        is_filled = newest != seen and trainings.repositories.may_name(model)
        menus = revision.updates(filled_menus(trainings.store, model, branch, commit)) if is_filled else {}
        return {**look(view, jobs, name), pane.published: newest, **menus}

    def stop_it(name: str) -> None:
        permission.require(caller())
        jobs.stop(name)

    def resume_it(name: str) -> None:
        permission.require(caller())
        jobs.resume(name)

    def use_it(name: str) -> Updates:
        permission.require(caller())
        chosen = jobs.job(name)
        menus = filled_menus(trainings.store, chosen.repo_id, chosen.branch)
        return {**revision.updates(menus), tabs: gr.Tabs(selected="complete")}

    view.timer.tick(
        follow,
        None,
        [*view.shown, pane.published, *revision],
        inputs_kwargs={"name": view.job, "seen": pane.published, **revision._asdict()},
        **QUIET,
    )
    gr.on([tab.select, view.job.input], show, view.job, view.shown, **LATEST)
    view.stop.click(stop_it, view.job, None, **QUIET).then(show, view.job, view.shown, **QUIET)
    view.resume.click(resume_it, view.job, None, **QUIET).then(show, view.job, view.shown, **QUIET)
    view.use.click(use_it, view.job, [*revision, tabs], **QUIET)
