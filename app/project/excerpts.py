"""Excerpts of code, the lines that define names, and a choice of excerpts within a budget."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

LONGEST_LINE = 300
"""Characters; longer lines are not shown and define nothing."""
_MOST_LINES = 10_000  # of a file that are searched for definitions
_DEFINITION_LINES = 8
_CHARACTERS_BEFORE, _CHARACTERS_AFTER = 2000, 500  # the cursor, in which names are in use
_DEFINITION = re.compile(
    r"[ \t]*(?:(?:export|default|public|private|protected|static|final|abstract|async)[ \t]+)*"
    r"(?:def|class|function\*?|interface|enum|record|const|let|var|type)[ \t]+(\w+)"
    # a method in Java, or a constant in Python
    r"|[ \t]*(?:(?:public|private|protected|static|final)[ \t]+)+[\w<>\[\],.]+[ \t]+(\w+)[ \t]*\("
    r"|([A-Z][A-Z\d_]+)[ \t]*[:=]"
)
_NAME = re.compile(r"[^\W\d]\w{2,}")


@dataclass(frozen=True)
class Excerpt:
    """Some lines of the document called ``name``."""

    name: str
    text: str


@dataclass
class Choice:
    """Excerpts that go in front of the code before the cursor. Each change to them costs the prefill of all that
    follows, so later ones are only added to their end."""

    excerpts: list[Excerpt] = field(default_factory=list)
    n_characters: int = 0

    def add(self, excerpt: Excerpt, most: int) -> None:
        """Add ``excerpt`` unless it is there already or ``most`` characters cannot hold it, too."""
        n_characters = len(excerpt.name) + len(excerpt.text)
        if excerpt not in self.excerpts and self.n_characters + n_characters <= most:
            self.excerpts.append(excerpt)
            self.n_characters += n_characters


class ShownLines:
    """The lines before and after a cursor, which the model reads anyway."""

    def __init__(self, before: str, after: str) -> None:
        self._lines = {line.strip() for text in (before, after) for line in text.splitlines()}

    def repeat(self, excerpt: Excerpt) -> bool:
        """Whether most lines of ``excerpt`` are among them: it is of the same file, or says nothing new."""
        lines = [line.strip() for line in excerpt.text.splitlines() if line.strip()]
        return 2 * sum(line in self._lines for line in lines) >= len(lines)


def with_heading(name: str, text: str) -> str:
    """The text of another file as it stands in a prompt."""
    heading = f"# {name}\n" if name else ""
    return f"{heading}{text}\n\n"


def names_in_use(before: str, after: str) -> list[str]:
    """The names around a cursor, the nearest before it first."""
    near = _NAME.findall(before[-_CHARACTERS_BEFORE:])
    return list(dict.fromkeys([*reversed(near), *_NAME.findall(after[:_CHARACTERS_AFTER])]))


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
