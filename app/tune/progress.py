"""A training job in the terminal: its progress and its end."""

from __future__ import annotations

import time

from tqdm import tqdm

from app.training_jobs import Job, Jobs
from train.data.report import remaining_files

_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_STOP = 60


def follow(jobs: Jobs, name: str) -> Job:
    """Show the progress of a job until it ends."""
    told_data = told_before = False
    job = jobs.job(name)
    with tqdm(total=job.steps, desc="tuning", unit=" steps", disable=None) as bar:
        while True:
            job = jobs.job(name)
            metrics = jobs.metrics(name)
            if not told_data and (report := jobs.data_report(name)) is not None:
                told_data = True
                bar.write(remaining_files(report))
            before = next((record["fim_exact_match"] for record in metrics if "fim_exact_match" in record), None)
            if not told_before and before is not None:
                told_before = True
                bar.write(f"Held-out lines that the model fills in exactly now: {before:.0%}.")
            bar.n = int(max((record["step"] for record in metrics), default=-1)) + 1
            bar.refresh()
            if job.state != "running":
                return job
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def stop(jobs: Jobs, name: str) -> Job:
    """Stop a job, and wait until it has saved its state."""
    jobs.stop(name)
    for _ in range(int(_SECONDS_TO_STOP / _SECONDS_BETWEEN_LOOKS)):
        if (job := jobs.job(name)).state != "running":
            return job
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return jobs.job(name)
