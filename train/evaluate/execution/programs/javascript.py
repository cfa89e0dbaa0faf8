"""JavaScript programs, run by Node.js: exit code 0 counts as passed, as in MultiPL-E."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from train.evaluate.execution.programs.missing import find
from train.evaluate.execution.sandbox import Command


def command(source: str) -> Command:
    """The command that runs ``source``.

    Raises:
        MissingProgram: Node.js is missing.
    """
    node, runtime = _runtime()
    arguments = [str(node), "--max-old-space-size=512", "program.js"]
    return Command(arguments, {"program.js": source.encode("utf-8", "replace")}, runtime)


@cache
def version() -> str:
    """The version of Node.js."""
    node, _ = _runtime()
    return "Node.js " + subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()


@cache
def _runtime() -> tuple[Path, tuple[Path, ...]]:
    node = find("node", "Node.js (Debian, Ubuntu: apt install nodejs)")
    return node, () if node.is_relative_to("/usr") else (node.parent.parent,)
