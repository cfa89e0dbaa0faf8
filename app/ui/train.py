"""The Train pane: the training data, the progress, the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from app.errors import without_paths
from app.repositories import Repositories
from app.training_jobs import Job, JobRequest, Jobs
from app.training_permission import TrainingPermission
from app.ui.caller import caller
from app.ui.components import QUIET, Updates, failure, status_line
from app.ui.revision_menus import RevisionMenus, filled_menus
from santacoder.checkpoints import CheckpointError
from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS
from train.presets import SIZES

_SCRATCH, _TUNE = "A new model, from scratch", "The selected model, fine-tuned"
_SECONDS_BETWEEN_UPDATES = 2
_MAX_POINTS = 400
# a browser draws curves slowly, and on a laptop that slows down the training
_GROWTH_WORTH_DRAWING = 1.1
_CURVES = {
    "loss": "Training loss, nats per token",
    "validation_loss": "Validation loss, nats per token",
    "learning_rate": "Learning rate",
}


@dataclass(frozen=True)
class _Drawn:
    """What the drawn curves show: which job, and how many records."""

    job: str = ""
    n_records: int = 0

    def is_old(self, job: Job, n_records: int) -> bool:
        if job.name != self.job:
            return True
        worth = self.n_records * _GROWTH_WORTH_DRAWING if job.state == "running" else self.n_records
        return n_records > worth


@dataclass(frozen=True)
class _JobView:
    """The components that show a job; ``plots`` by the name of their curve."""

    timer: gr.Timer
    drawn: gr.State
    job: gr.Dropdown
    status: gr.HTML
    stop: gr.Button
    resume: gr.Button
    use: gr.Button
    plots: dict[str, gr.LinePlot]
    sample: gr.Code

    @property
    def shown(self) -> list[gr.blocks.Block]:
        return [
            self.timer,
            self.drawn,
            self.job,
            self.status,
            self.stop,
            self.resume,
            self.use,
            *self.plots.values(),
            self.sample,
        ]


@dataclass(frozen=True)
class _Request:
    """The values of the controls: those of the form, and the selected revision.

    ``archive`` is the path of an uploaded file; ``packages`` has a package in each line.
    """

    start: str
    size: str
    variant: str
    folder: str
    archive: str | None
    packages: str
    steps: float | None
    target: str
    target_branch: str
    model: str
    branch: str
    commit: str

    def job(self, folder: str) -> JobRequest:
        """The job that they describe, which reads ``folder``.

        Raises:
            UserError: the request is invalid; the message is for the user.
        """
        return JobRequest(
            repo_id=self.target.strip(),
            branch=self.target_branch.strip(),
            steps=int(self.steps or 0),
            base=f"{self.model}@{self.commit or self.branch}" if self.start == _TUNE else "",
            size=self.size,
            variant=self.variant,
            folder=folder,
            archive=self.archive or "",
            packages=self.packages,
        )


def train_pane(
    jobs: Jobs,
    permission: TrainingPermission,
    repositories: Repositories,
    tab: gr.Tab,
    revision: RevisionMenus,
    store: Path,
) -> None:
    """Fill the surrounding ``tab``."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            form = _form()
            start = gr.Button("Start training", variant="primary", elem_id="train-start")
            refusal = gr.HTML(elem_id="train-refusal")
        with gr.Column(min_width=280):
            view = _job_view()
    published = gr.State("")

    def look(name: str | None, drawn: _Drawn) -> Updates:
        if not permission.is_given(caller()):
            return gr.skip()  # the pane itself says who may train
        return _look(view, jobs, name, drawn) or gr.skip()

    def begin(**values: Any) -> Updates:
        try:
            permission.require(caller())
            given = _Request(**values)
            request = given.job(permission.folder(given.folder.strip(), caller()))
            if request.base:  # the job would look for any name on the Hub, or treat it as a folder
                base, _, at = request.base.partition("@")
                repositories.snapshot(base, at)
            name = jobs.start(request)
        except (UserError, CheckpointError, OSError) as error:
            return {refusal: failure(without_paths(str(error)))}
        return {refusal: "", **_look(view, jobs, name, _Drawn())}

    def follow(name: str | None, drawn: _Drawn, seen: str, model: str, branch: str, commit: str) -> Updates:
        """Updates of everything shown, and of the menus after a new publication."""
        if not permission.is_given(caller()):
            return gr.skip()
        repositories.require(model)
        newest = max((job.name for job in jobs.all() if job.commit), default="")
        menus = revision.updates(filled_menus(store, model, branch, commit)) if newest != seen else {}
        return {**_look(view, jobs, name, drawn), published: newest, **menus}

    def stop_it(name: str) -> None:
        permission.require(caller())
        jobs.stop(name)

    def resume_it(name: str) -> None:
        permission.require(caller())
        jobs.resume(name)

    def use_it(name: str) -> Updates:
        permission.require(caller())
        chosen = jobs.job(name)
        return revision.updates(filled_menus(store, chosen.repo_id, chosen.branch))

    known = [view.job, view.drawn]
    start.click(begin, None, [refusal, *view.shown], inputs_kwargs={**form, **revision._asdict()}, **QUIET)
    view.timer.tick(
        follow,
        None,
        [*view.shown, published, *revision],
        inputs_kwargs={"name": view.job, "drawn": view.drawn, "seen": published, **revision._asdict()},
        **QUIET,
    )
    gr.on([tab.select, view.job.input], look, known, view.shown, **QUIET)
    view.stop.click(stop_it, view.job, None, **QUIET).then(look, known, view.shown, **QUIET)
    view.resume.click(resume_it, view.job, None, **QUIET).then(look, known, view.shown, **QUIET)
    view.use.click(use_it, view.job, [*revision], **QUIET)


def _form() -> dict[str, gr.components.Component]:
    """The controls by the names of :class:`_Request`."""
    start = gr.Radio([_TUNE, _SCRATCH], value=_TUNE, label="What to train", elem_id="train-start-from")
    with gr.Row(visible=False) as scratch:
        size = gr.Dropdown(list(SIZES), value="nano", label="Size", elem_id="train-size", min_width=100)
        variant = gr.Dropdown(list(EXPERIMENTS), value="final", label="Variant", elem_id="train-variant", min_width=100)
    start.change(lambda choice: gr.Row(visible=choice == _SCRATCH), start, scratch, api_visibility="private")
    folder = gr.Textbox(label="Folder", info="A folder on the server.", elem_id="train-folder")
    archive = gr.File(
        label="or an archive of source code (zip or tar)",
        file_types=[".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"],
        elem_id="train-archive",
        height=150,
    )
    packages = gr.Textbox(
        label="or Python packages", info="name==version, one per line.", lines=2, elem_id="train-packages"
    )
    steps = gr.Number(200, label="Steps", precision=0, minimum=1, elem_id="train-steps")
    with gr.Row():
        repo_id = gr.Textbox("mine/coder", label="Publish to model", elem_id="train-repo", min_width=140)
        branch = gr.Textbox("main", label="Branch", elem_id="train-branch", min_width=100)
    return {
        "start": start,
        "size": size,
        "variant": variant,
        "folder": folder,
        "archive": archive,
        "packages": packages,
        "steps": steps,
        "target": repo_id,
        "target_branch": branch,
    }


def _job_view() -> _JobView:
    job = gr.Dropdown([], label="Jobs", elem_id="train-job", info="Newest first.")
    status = gr.HTML('<p class="status">No training jobs yet.</p>', elem_id="train-status")
    with gr.Row(elem_classes="buttons"):
        stop = gr.Button("Stop", elem_id="train-stop", interactive=False, min_width=90)
        resume = gr.Button("Resume", elem_id="train-resume", interactive=False, min_width=90)
        use = gr.Button("Use this model", elem_id="train-use", interactive=False, min_width=90)
    plots = {name: _plot(title, f"train-{name}") for name, title in _CURVES.items()}
    sample = gr.Code(label="What it writes now", language="python", elem_id="train-sample", lines=6)
    return _JobView(
        timer=gr.Timer(_SECONDS_BETWEEN_UPDATES, active=False),
        drawn=gr.State(_Drawn()),
        job=job,
        status=status,
        stop=stop,
        resume=resume,
        use=use,
        plots=plots,
        sample=sample,
    )


def _plot(title: str, elem_id: str) -> gr.LinePlot:
    return gr.LinePlot(x="step", y="value", title=title, height=170, elem_id=elem_id, y_title=" ")


def _look(view: _JobView, jobs: Jobs, name: str | None, drawn: _Drawn) -> Updates:
    """Updates of the menu of jobs, and of everything about the selected one, or else the newest; none without jobs."""
    known = jobs.all()
    if not known:
        return {}
    job = next((job for job in known if job.name == name), known[0])
    records = jobs.metrics(job.name)
    updates: Updates = {
        view.timer: gr.Timer(active=any(each.state == "running" for each in known)),
        view.job: gr.Dropdown(choices=[(_summary(each), each.name) for each in known], value=job.name),
        view.status: _status(job, records),
        view.stop: gr.Button(interactive=job.state == "running"),
        view.resume: gr.Button(interactive=job.can_resume),
        view.use: gr.Button(interactive=bool(job.commit)),
        view.sample: jobs.latest_sample(job.name),
    }
    if drawn.is_old(job, len(records)):
        updates[view.drawn] = _Drawn(job.name, len(records))
        updates |= {plot: _curve(records, curve) for curve, plot in view.plots.items()}
    return updates


def _summary(job: Job) -> str:
    return f"{job.name} · {job.repo_id}@{job.branch} · {job.state}"


def _status(job: Job, records: list[dict[str, float]]) -> str:
    """The job's progress and remaining time, or how it ended."""
    if job.state != "running":
        return status_line(without_paths(job.message), is_error=job.state == "failed")
    steps = [record for record in records if {"loss", "seconds", "tokens_per_second"} <= record.keys()]
    if not steps:
        return status_line("Reading and packing the source files …")
    latest, recent = steps[-1], steps[-20:]
    done = int(latest["step"]) + 1
    left = (job.steps - done) * sum(record["seconds"] for record in recent) / len(recent)
    parts = [
        f"step {done:,} of {job.steps:,}",
        f"loss {latest['loss']:.3f}",
        f"{sum(record['tokens_per_second'] for record in recent) / len(recent):,.0f} tokens/s",
        f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left",
    ]
    for name, label in (("bits_per_byte", "bits per byte"), ("fim_exact_match", "lines filled in")):
        values = [record[name] for record in records if name in record]
        if values:
            parts.append(f"{values[-1]:.3f} {label}")
    return status_line(" · ".join(parts))


def _curve(records: list[dict[str, float]], name: str) -> pd.DataFrame:
    """Columns ``step`` and ``value``, downsampled to what is visible."""
    points = [(record["step"] + 1, record[name]) for record in records if name in record]
    points = points[:: -(-len(points) // _MAX_POINTS) or 1]
    # Gradio cannot infer from an empty table that these are numbers
    return pd.DataFrame(points, columns=["step", "value"]).astype({"step": "int64", "value": "float64"})
