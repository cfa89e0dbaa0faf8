"""A stage's command as a process, and the record of what it took, which says that it is done."""

from __future__ import annotations

import json
import resource
import subprocess
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
    if record and record["command"] != list(stage.command[1:]):
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
    log = out / "logs" / f"{stage.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    goes_on = stage.interrupted is not None and stage.interrupted.exists()
    started, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("ab" if goes_on else "wb") as output:
        command = stage.go_on if goes_on else stage.command
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
    if code:
        raise StageFailed(f"{stage.name} failed with exit code {code}; {log} tells why:\n{_last_lines(log)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = {
        "command": list(stage.command[1:]),
        "seconds": round(time.time() - started, 1),
        "core_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "went_on": goes_on,
    }
    with replacing(_record(stage, out)) as file:
        file.write(json.dumps(record, indent=1).encode())


def write_table(stages: Sequence[Stage], out: Path, dollars_per_hour: float) -> None:
    """``OUT/stages.md``: time and cost of the stages that are done."""
    lines = ["| stage | time, s | processor, s | dollars |", "|---|---|---|---|"]
    total = [0.0, 0.0]
    for stage in stages:
        record = _read(stage, out)
        if record is None:
            continue
        if record["seconds"] is None:  # taken over from before there was a record
            lines.append(f"| {stage.name} | not recorded | | |")
            continue
        note = " (its last part)" if record["went_on"] else ""
        lines.append(_row(stage.name + note, record["seconds"], record["core_seconds"], dollars_per_hour))
        total = [total[0] + record["seconds"], total[1] + record["core_seconds"]]
    lines += [_row("together", *total, dollars_per_hour), ""]
    lines += [f"A machine of this kind is taken to cost {dollars_per_hour:.2f} dollars an hour.", ""]
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
