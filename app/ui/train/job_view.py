"""What the Train pane shows of a job: its progress, losses, and what the model writes before and now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from app.errors import without_paths
from app.training_jobs import Job, Jobs, Metrics, Sample
from app.ui.components import Updates, status_line
from app.ui.html import percent, render
from app.ui.train.loss_chart import loss_chart
from train.data.report import remaining_files, removed_files

_SECONDS_BETWEEN_UPDATES = 2
_SCORES: dict[str, Callable[[float], str]] = {
    "bits_per_byte": lambda value: f"{value:.3f} bits per byte",
    "fim_exact_match": lambda share: f"{percent(share)} of held-out lines right",
}
_NEXT = {
    "stopped": "Press Resume to go on where it stopped, or start another job.",
    "failed": "Press Resume to go on from its last saved state.",
}


@dataclass(frozen=True)
class JobView:
    """The components that show a job. ``whole`` is hidden until there is one."""

    timer: gr.Timer
    whole: gr.Column
    job: gr.Dropdown
    status: gr.HTML
    files: gr.HTML
    stop: gr.Button
    resume: gr.Button
    use: gr.Button
    chart: gr.HTML
    samples: gr.HTML

    @property
    def shown(self) -> list[gr.blocks.Block]:
        return list(vars(self).values())


def job_view() -> JobView:
    timer = gr.Timer(_SECONDS_BETWEEN_UPDATES, active=False)
    with gr.Column(min_width=280, scale=2, visible=False, elem_id="train-job-view") as whole:
        job = gr.Dropdown([], label="Job", elem_id="train-job", info="Newest first.")
        status = gr.HTML(elem_id="train-status")
        files = gr.HTML(elem_id="train-files", apply_default_css=False)
        with gr.Row(elem_classes="actions"):
            stop = gr.Button("Stop", elem_id="train-stop", visible=False, min_width=90)
            resume = gr.Button("Resume", elem_id="train-resume", visible=False, min_width=90)
            use = gr.Button("Use this model", variant="primary", elem_id="train-use", visible=False, min_width=90)
        chart = gr.HTML(elem_id="train-chart", apply_default_css=False)
        samples = gr.HTML(elem_id="train-samples", apply_default_css=False)
    return JobView(timer, whole, job, status, files, stop, resume, use, chart, samples)


def look(view: JobView, jobs: Jobs, name: str | None) -> Updates:
    """Updates of the menu of jobs, and of everything about the selected one, or else the newest; none without jobs."""
    known = jobs.all()
    if not known:
        return {}
    job = next((job for job in known if job.name == name), known[0])
    records = jobs.metrics(job.name)
    report = jobs.data_report(job.name)
    return {
        view.timer: gr.Timer(active=any(each.state == "running" for each in known)),
        view.whole: gr.Column(visible=True),
        view.job: gr.Dropdown(choices=[(_summary(each), each.name) for each in known], value=job.name),
        view.status: _status(job, records, is_prepared=report is not None),
        view.files: files_html(report) if report else "",
        view.stop: gr.Button(visible=job.state == "running", interactive=not job.is_stopping),
        view.resume: gr.Button(visible=job.can_resume),
        view.use: gr.Button(visible=bool(job.commit)),
        view.chart: loss_chart(records, job.steps),
        view.samples: _before_and_now(jobs.samples(job.name), is_running=job.state == "running"),
    }


def files_html(report: dict) -> str:
    """How many files remain, and why others do not."""
    return render("training_files", sentence=remaining_files(report), removed=removed_files(report))


def _summary(job: Job) -> str:
    return f"{job.name} · {job.repo_id}@{job.branch} · {job.state}"


def _status(job: Job, records: Sequence[Metrics], *, is_prepared: bool) -> str:
    """The job's progress and remaining time, or how it ended and what can be done next."""
    if job.state != "running":
        advice = _NEXT.get(job.state, "") if job.can_resume else ""
        return status_line(f"{without_paths(job.message)} {advice}".strip(), is_error=job.state == "failed")
    if job.is_stopping:
        return status_line("Stopping: this step is finished and saved first, which takes a few seconds …")
    steps = [record for record in records if {"loss", "seconds", "tokens_per_second"} <= record.keys()]
    if not steps:
        return status_line("Preparing the first step …" if is_prepared else "Reading and packing the source files …")
    latest, recent = steps[-1], steps[-20:]
    done = int(latest["step"]) + 1
    left = (job.steps - done) * sum(record["seconds"] for record in recent) / len(recent)
    parts = [
        f"step {done:,} of {job.steps:,}",
        f"loss {latest['loss']:.3f}",
        f"{sum(record['tokens_per_second'] for record in recent) / len(recent):,.0f} tokens/s",
        f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left",
    ]
    for name, said in _SCORES.items():
        values = [record[name] for record in records if name in record]
        if values:
            parts.append(said(values[-1]))
    return status_line(" · ".join(parts))


def _before_and_now(samples: Sequence[Sample], *, is_running: bool) -> str:
    """The same prompt, continued by the model before the training and now; empty before the first sample. A job that
    has ended before its second sample has only the first."""
    if not samples:
        return ""
    first, latest = samples[0], samples[-1]
    before = "Before" if first.step == 0 else f"After {first.step:,} steps"
    columns: list[tuple[str, str, str | None]] = [(before, first.prompt, first.text)]
    if latest.step > first.step:
        columns.append((f"Now, after {latest.step:,} steps", latest.prompt, latest.text))
    elif is_running:
        columns.append(("Now", first.prompt, None))
    return render("before_and_now", columns=columns)
