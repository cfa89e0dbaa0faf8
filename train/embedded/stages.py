"""Runs the command of a stage in a process and records its time; the record marks the stage as done.

The process is a fork of this one, which has already loaded PyTorch: with models as small as nano, loading it for each
of fifty commands would take longer than the commands themselves.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import runpy
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from santacoder.atomic import replacing
from train.child_process import end_with_parent
from train.embedded.recipe import Stage
from train.run.folder import newest_state
from train.run.stopping import handling_stops

_OF_A_RECORD = {"command", "seconds", "core_seconds", "went_on"}


class StageFailed(Exception):
    """A stage ended with an error; the message is a sentence for the user."""


def is_done(stage: Stage, out: Path) -> bool:
    """Whether ``stage`` has a record.

    Raises:
        StageFailed: the record is damaged, or of another command, so existing files were made with other settings.
    """
    record = _read(stage, out)
    if record and record["command"] != list(stage.command):
        raise StageFailed(
            f"{stage.name} was done by another command: {shlex.join(record['command'])}. To keep its result, choose "
            f"another --out; to redo it, delete {_record(stage, out)} and the files that the command wrote."
        )
    return record is not None


def run(stage: Stage, out: Path) -> None:
    """Run the command of ``stage``, or the one that continues it, and write a record.

    SIGINT and SIGTERM reach the command as one SIGTERM, at which a training finishes its step and saves.

    Raises:
        StageFailed: the command failed; its last lines are in the message. Or another process runs the stage.
        KeyboardInterrupt: SIGINT or SIGTERM was received; the command has ended.
    """
    log = out / "logs" / f"{stage.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(log.with_suffix(".lock"), timeout=0):
            if not is_done(stage, out):  # by the process that held the lock until now
                _run_held(stage, out, log)
    except Timeout as error:
        raise StageFailed(
            f"Another process is at {stage.name} in {out}: wait until it ends, or choose another --out."
        ) from error


def _run_held(stage: Stage, out: Path, log: Path) -> None:
    import train.__main__
    import train.evaluate.__main__  # noqa: F401 - for the forks to come, see above

    goes_on = stage.states is not None and newest_state(stage.states) is not None
    started, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    log.open("ab" if goes_on else "wb").close()
    process = multiprocessing.get_context("fork").Process(
        target=_run_module, args=(stage.go_on if goes_on else stage.command, log, os.getpid())
    )
    with _passing_on_signals(process) as received:
        process.start()
        if received:  # before there was a process
            process.terminate()
        process.join()
    if process.exitcode and not received:
        raise StageFailed(f"{stage.name} failed with exit code {process.exitcode}; see {log}:\n{_last_lines(log)}")
    if not process.exitcode:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        record = {
            "command": list(stage.command),
            "seconds": round(time.time() - started, 1),
            "core_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "went_on": goes_on,
        }
        with replacing(_record(stage, out)) as file:
            file.write(json.dumps(record, indent=1).encode())
    if received:
        raise KeyboardInterrupt


@contextmanager
def _passing_on_signals(process: BaseProcess) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on to ``process`` as SIGTERM; the list has those received. After Ctrl-C in a terminal,
    the process has a SIGINT of its own, too.
    """
    received: list[int] = []

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        if process.pid is not None:
            process.terminate()

    with handling_stops(pass_on):
        yield received


def _run_module(command: Sequence[str], log: Path, parent: int) -> None:
    """Run ``python -m MODULE ARGUMENTS`` in this process, a child of ``parent``, with output appended to ``log``."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    output = log.open("a", buffering=1)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = output
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def write_table(stages: Sequence[Stage], out: Path, dollars_per_hour: float) -> None:
    """Write ``OUT/stages.md``: time and cost of the finished stages."""
    lines = ["| stage | time, s | processor, s | dollars |", "|---|---|---|---|"]
    seconds, core_seconds = 0.0, 0.0
    for stage in stages:
        record = _read(stage, out)
        if record is None:
            continue
        note = " (last part)" if record["went_on"] else ""
        lines.append(_row(stage.name + note, record["seconds"], record["core_seconds"], dollars_per_hour))
        seconds, core_seconds = seconds + record["seconds"], core_seconds + record["core_seconds"]
    lines += [_row("total", seconds, core_seconds, dollars_per_hour), ""]
    lines += [f"Costs assume {dollars_per_hour:.2f} dollars an hour for such a machine.", ""]
    with replacing(out / "stages.md") as file:
        file.write("\n".join(lines).encode())


def _row(name: str, seconds: float, core_seconds: float, dollars_per_hour: float) -> str:
    return f"| {name} | {seconds:,.0f} | {core_seconds:,.0f} | {seconds / 3600 * dollars_per_hour:.2f} |"


def _record(stage: Stage, out: Path) -> Path:
    return out / "done" / f"{stage.name}.json"


def _read(stage: Stage, out: Path) -> dict[str, Any] | None:
    path = _record(stage, out)
    try:
        record = json.loads(path.read_text()) if path.exists() else None
        if record is not None and not (isinstance(record, dict) and record.keys() >= _OF_A_RECORD):
            raise TypeError("it is not a record of a stage")
    except (ValueError, TypeError) as error:
        raise StageFailed(
            f"{path} is damaged ({error}), so whether {stage.name} was done is unknown: delete it to run {stage.name} "
            "again."
        ) from error
    return record


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").replace("\r", "\n").rstrip().splitlines()[-5:])
