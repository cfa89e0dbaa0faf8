"""``python -m app.tune FOLDER``: tune a model to a project, and publish it if it is better at held-out code."""

from __future__ import annotations

from santacoder import pytorch

pytorch.require_for_command("tune", "python -m app.tune")

import argparse
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from app.settings import Settings
from app.training_jobs import Job, Jobs
from app.training_request import HELD_OUT_LINES, TUNING_SEQUENCE_LENGTH, JobRequest
from app.tune.progress import follow, stop
from app.tune.tuned_graph import add_graph
from app.tune.tuned_model import TUNED_BRANCH, is_tuned, steps_for, tuned_model
from santacoder.checkpoints import CheckpointError
from santacoder.errors import UserError
from santacoder.paths import command_name, data_folder, user_path
from train.model.starting_point import resolve_base

_INTERRUPTED = 130  # a shell's status of a command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> int:
    """Tune until the end. Returns 0 if it was published or is no better, 1 if it failed, 130 after Ctrl-C."""
    args = _parser().parse_args(arguments)
    try:
        options = {name: value for name in ("model", "revision", "store") if (value := getattr(args, name)) is not None}
        settings = Settings(**options)
        request = tuning_request(args.folder, args.steps, settings)
        return _tune(Jobs(data_folder() / "tuning", settings.store), request, settings.store)
    except ValidationError as error:
        print(error.errors(include_url=False)[0]["msg"], file=sys.stderr)
    except (UserError, CheckpointError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"Nothing was published, because a file cannot be written or read: {error}.", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_name("tune", "python -m app.tune"),
        description="Tune a model to the code of a project. A tenth of its code is held out. The tuned model is "
        f"published only if it is better on {HELD_OUT_LINES} held-out lines than the model was before; a language "
        "server with --project then uses it.",
    )
    parser.add_argument("folder", type=user_path, help="folder of the project")
    parser.add_argument("--model", help="model to begin with (default: santacoder/mini)")
    parser.add_argument("--revision", help="its branch or commit (default: main)")
    parser.add_argument("--steps", type=int, help="length of the training (default: by the amount of code)")
    parser.add_argument("--store", help="folder of published models")
    return parser


def tuning_request(folder: Path, steps: int | None, settings: Settings) -> JobRequest:
    """The job for ``folder``: it begins with the model that was tuned to it before, if there is one. Without ``steps``,
    it reads the code about three times.

    Raises:
        UserError: the folder or a setting cannot be used.
        CheckpointError: there is no such model.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder.")
    name, base = tuned_model(folder), f"{settings.model}@{settings.revision}"
    if is_tuned(folder, settings.store):
        base = f"{name}@{TUNED_BRANCH}"
    base, shape = resolve_base(base, settings.store)
    return JobRequest(
        name,
        TUNED_BRANCH,
        steps_for(folder) if steps is None else steps,
        base=base,
        folder=str(folder.resolve()),
        sequence_length=min(TUNING_SEQUENCE_LENGTH, shape.n_positions),
        only_if_better=True,
    )


def _tune(jobs: Jobs, request: JobRequest, store: Path) -> int:
    running = jobs.running(request.repo_id)
    if running is None and hasattr(os, "nice"):
        os.nice(10)  # the job inherits it, so that the editor comes first
    name = running or jobs.start(request)
    base = request.base.partition("@")[0]
    doing = f"{base} is already being tuned" if running else f"Tuning {base}"
    print(f"{doing} to {request.folder}. Ctrl-C stops it; then nothing is published.", flush=True)
    try:
        return _see_to_its_end(jobs, name, store)
    except UserError:
        if any(job.name == name for job in jobs.all()):
            raise
        print("The tuning has ended. Another command that followed it tells how.")
        return 0


def _see_to_its_end(jobs: Jobs, name: str, store: Path) -> int:
    """Follow a job to its end, remove it, and return the exit status.

    Raises:
        UserError: it does not stop, or another command has removed it.
    """
    try:
        job = follow(jobs, name)
    except KeyboardInterrupt:
        job = stop(jobs, name)
        if job.state == "running":
            raise UserError("The job has not stopped yet. It publishes nothing unless it is better.") from None
        if not job.commit:
            jobs.remove(name)
            print("Stopped. Nothing was published; everything stays as it was.", file=sys.stderr)
            return _INTERRUPTED
    jobs.remove(name)
    return _conclude(job, store)


def _conclude(job: Job, store: Path) -> int:
    """Say how ``job`` ended, add a graph to what it published, and return the exit status."""
    if job.state != "finished":
        print(f"{job.message}\nNothing was published; everything stays as it was.", file=sys.stderr)
        return 1
    print(job.message)
    if job.commit:
        print(f"The language server uses it with --project; elsewhere, choose {job.repo_id}@{job.branch}.", flush=True)
        if problem := add_graph(job.repo_id, job.branch, store):
            print(f"PyTorch serves it, because there is no graph: {problem}", file=sys.stderr)
    else:
        print("Everything stays as it was.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
