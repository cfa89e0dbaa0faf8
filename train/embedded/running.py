"""A stage's command as a process, and the record of what it took, which says that it is done.

The process is a fork of this one, which has loaded PyTorch already: with models as small as nano, loading it again for
each of fifty commands would take longer than all they do.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from santacoder.atomic import replacing
from train.embedded.recipe import Stage


class StageFailed(Exception):
    """A stage ended with an error; the message is a sentence for the user."""


def is_done(stage: Stage, out: Path) -> bool:
    """Whether the record of ``stage`` is there.

    Raises:
        StageFailed: it is that of another command, so that what is there has been made with other settings.
    """
    record = _read(stage, out)
    if record and record["command"] != list(stage.command):
        raise StageFailed(
            f"{stage.name} was done by another command: {' '.join(record['command'])}. To keep that, choose another "
            f"--out; to do it again, remove {_record(stage, out)} and what the command has made."
        )
    return record is not None


def run(stage: Stage, out: Path) -> None:
    """Run the command of ``stage``, or the one that goes on with it, and leave a record.

    Raises:
        StageFailed: the command failed; its last lines are in the message.
    """
    import train.__main__
    import train.evaluate.__main__  # noqa: F401 - for the forks to come, see above

    log = out / "logs" / f"{stage.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    goes_on = stage.interrupted is not None and stage.interrupted.exists()
    started, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    log.open("ab" if goes_on else "wb").close()
    process = multiprocessing.get_context("fork").Process(
        target=_run_module, args=(stage.go_on if goes_on else stage.command, log)
    )
    process.start()
    process.join()
    if code := process.exitcode:
        raise StageFailed(f"{stage.name} failed with exit code {code}; {log} tells why:\n{_last_lines(log)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = {
        "command": list(stage.command),
        "seconds": round(time.time() - started, 1),
        "core_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "went_on": goes_on,
    }
    with replacing(_record(stage, out)) as file:
        file.write(json.dumps(record, indent=1).encode())


def _run_module(command: Sequence[str], log: Path) -> None:
    """``python -m MODULE ARGUMENTS`` in this process, its output appended to ``log``."""
    output = log.open("a", buffering=1)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = output
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def write_table(stages: Sequence[Stage], out: Path, dollars_per_hour: float) -> None:
    """``OUT/stages.md``: time and cost of the stages that are done."""
    lines = ["| stage | time, s | processor, s | dollars |", "|---|---|---|---|"]
    seconds, core_seconds = 0.0, 0.0
    for stage in stages:
        record = _read(stage, out)
        if record is None:
            continue
        if record["seconds"] is None:  # taken over from before there was a record
            lines.append(f"| {stage.name} | not recorded | | |")
            continue
        note = " (its last part)" if record["went_on"] else ""
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
    return json.loads(path.read_text()) if path.exists() else None


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").replace("\r", "\n").rstrip().splitlines()[-5:])
