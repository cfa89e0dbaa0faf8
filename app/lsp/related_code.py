"""Code from elsewhere in the open documents that a suggestion may need, in an order that suits prefix caching.

It goes in front of the code before the cursor, so each change to it costs the prefill of all that follows. It is chosen
when the user comes to a place; while they type there, definitions of further names are only added to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.lsp.documents import Document, Documents

_MOST_DOCUMENTS = 8
_MOST_LINES = 10_000  # of a document that are searched for definitions
_IMPORT_LINES = 100  # at the beginning of a document
_EDITED_PLACES = 2
_LINES_AROUND_EDIT = 6
_DEFINITION_LINES = 8
_LONGEST_LINE = 300  # characters
# at a larger distance, the user has come to another place
_LINES_OF_A_PLACE = 40

_NAME = re.compile(r"[^\W\d]\w{2,}")
_IMPORT = re.compile(r"\s*(?:import|from|package|export\s.*\bfrom)\b|.*\brequire\(")
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


@dataclass
class _Chosen:
    """What was chosen for a place in a document."""

    line: int
    n_changes_elsewhere: int
    excerpts: list[Excerpt] = field(default_factory=list)
    n_characters: int = 0

    def add(self, excerpt: Excerpt, most: int) -> None:
        """Add ``excerpt`` unless it is there already or does not fit."""
        n_characters = len(excerpt.name) + len(excerpt.text)
        if excerpt not in self.excerpts and self.n_characters + n_characters <= most:
            self.excerpts.append(excerpt)
            self.n_characters += n_characters


class RelatedCode:
    """Chooses code from the open ``documents``, and remembers what it has chosen for each."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._chosen: dict[str, _Chosen] = {}
        self._definitions: dict[str, tuple[int | None, dict[str, int]]] = {}

    def forget(self, uri: str) -> None:
        self._chosen.pop(uri, None)
        self._definitions.pop(uri, None)

    def excerpts(self, document: Document, line: int, before: str, after: str, most: int) -> list[Excerpt]:
        """At most ``most`` characters of code for a place in ``document``, of which ``before`` and ``after`` is shown
        anyway."""
        if not most:
            return []
        others = self._documents.others(document, _MOST_DOCUMENTS)
        elsewhere = self._documents.n_changes_elsewhere(document)
        chosen = self._chosen.get(document.uri)
        is_new = (
            chosen is None
            or chosen.n_changes_elsewhere != elsewhere
            or abs(chosen.line - line) > _LINES_OF_A_PLACE
            or chosen.n_characters > most
        )
        if chosen is None or is_new:
            chosen = self._chosen[document.uri] = _Chosen(line, elsewhere)
            for excerpt in (*_imports(document, before), *_edited_places(others)):
                chosen.add(excerpt, most // 2)
        for excerpt in self._defined(_names(before, after), others):
            chosen.add(excerpt, most)
        return list(chosen.excerpts)

    def _defined(self, names: list[str], others: list[Document]) -> Iterator[Excerpt]:
        for name in names:
            for other in others:
                line = self._definitions_in(other).get(name)
                if line is not None:
                    yield Excerpt(other.name, "".join(_definition(other, line)))
                    break

    def _definitions_in(self, document: Document) -> dict[str, int]:
        """The lines of ``document`` that define names. They are searched once after each change, since another
        document than the edited one rarely changes."""
        version, found = self._definitions.get(document.uri, (None, {}))
        if version is None or version != document.version:
            found = {}
            for number, line in enumerate(document.lines[:_MOST_LINES]):
                match = _DEFINITION.match(line[:_LONGEST_LINE])
                if match:
                    found.setdefault(next(filter(None, match.groups())), number)
            self._definitions[document.uri] = (document.version, found)
        return found


def _names(before: str, after: str) -> list[str]:
    """The names in use, the nearest before the cursor first."""
    near = before[-2000:]
    names = dict.fromkeys([*reversed(_NAME.findall(near)), *_NAME.findall(after[:500])])
    return list(names)


def _imports(document: Document, before: str) -> Iterator[Excerpt]:
    """The imports of ``document``, if the beginning of the file is not shown."""
    first = document.lines[0]
    if before.startswith(first) and first.strip():
        return
    lines = [line for line in document.lines[:_IMPORT_LINES] if len(line) < _LONGEST_LINE and _IMPORT.match(line)]
    if lines:
        yield Excerpt(document.name, "".join(lines))


def _edited_places(others: list[Document]) -> Iterator[Excerpt]:
    edited = [(other, other.edited_line) for other in others if other.edited_line is not None]
    for other, line in edited[:_EDITED_PLACES]:
        lines = other.lines[max(0, line - _LINES_AROUND_EDIT) : line + _LINES_AROUND_EDIT]
        yield Excerpt(other.name, "".join(shown for shown in lines if len(shown) < _LONGEST_LINE))


def _definition(document: Document, line: int) -> Iterator[str]:
    """The first lines of a definition: its header, and what is indented more."""
    header = document.lines[line]
    yield header[:_LONGEST_LINE]
    for next_line in document.lines[line + 1 : line + _DEFINITION_LINES]:
        if len(next_line) > _LONGEST_LINE or (next_line.strip() and _indent(next_line) <= _indent(header)):
            return
        yield next_line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
