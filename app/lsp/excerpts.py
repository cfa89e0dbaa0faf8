"""Excerpts of code, and the lines that define names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONGEST_LINE = 300
"""Characters; longer lines are not shown and define nothing."""
_MOST_LINES = 10_000  # of a file that are searched for definitions
_DEFINITION_LINES = 8
_DEFINITION = re.compile(
    r"[ \t]*(?:(?:export|default|public|private|protected|static|final|abstract|async)[ \t]+)*"
    r"(?:def|class|function\*?|interface|enum|record|const|let|var|type)[ \t]+(\w+)"
    # a method in Java, or a constant in Python
    r"|[ \t]*(?:(?:public|private|protected|static|final)[ \t]+)+[\w<>\[\],.]+[ \t]+(\w+)[ \t]*\("
    r"|([A-Z][A-Z\d_]+)[ \t]*[:=]"
)


@dataclass(frozen=True)
class Excerpt:
    """Some lines of the document called ``name``."""

    name: str
    text: str


def definitions_in(lines: Sequence[str]) -> dict[str, int]:
    """The lines that define names, by name; of several, the first."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines[:_MOST_LINES]):
        match = _DEFINITION.match(line[:LONGEST_LINE])
        if match:
            found.setdefault(next(filter(None, match.groups())), number)
    return found


def definition(lines: Sequence[str], line: int) -> Iterator[str]:
    """The first lines of a definition: its header, and what is indented more."""
    header = lines[line]
    yield header[:LONGEST_LINE]
    for next_line in lines[line + 1 : line + _DEFINITION_LINES]:
        if len(next_line) > LONGEST_LINE or (next_line.strip() and _indent(next_line) <= _indent(header)):
            return
        yield next_line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
