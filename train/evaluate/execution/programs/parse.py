"""Syntax checks with the parsers of ``ast``, javac and node; nothing is executed."""

from __future__ import annotations

import ast
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path

from santacoder.languages import Language
from train.evaluate.execution.programs.missing import find

_HERE = Path(__file__).parent


def parse(language: Language, sources: Sequence[str]) -> list[bool]:
    """Whether each of ``sources`` parses.

    Raises:
        MissingProgram: the JDK or Node.js is missing.
    """
    if not sources:
        return []
    if language == "python":
        return [_is_python(source) for source in sources]
    if language == "java":
        java = find("javac", "a JDK (Debian, Ubuntu: apt install default-jdk-headless)").with_name("java")
        command = [str(java), "-XX:+UseSerialGC", str(_HERE / "Parse.java")]
    else:
        command = [str(find("node", "Node.js (Debian, Ubuntu: apt install nodejs)")), str(_HERE / "parse.js")]
    joined = "\0".join(source.replace("\0", "") for source in sources)
    verdicts = subprocess.run(
        command, input=joined, capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout
    return [verdict == "1" for verdict in verdicts.strip()]


def _is_python(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about escapes in the source
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
