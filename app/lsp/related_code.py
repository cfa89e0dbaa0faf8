"""Code from open documents and from the project that a suggestion may need, in an order that suits prefix caching.

It goes in front of the code before the cursor, so each change to it costs the prefill of all that follows. It is chosen
when the user comes to a place; while they type there, definitions of further names are only added to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.lsp.documents import Document, Documents
from app.project.excerpts import LONGEST_LINE, Choice, Excerpt, definition, definitions_in, names_in_use
from app.project.project_index import ProjectIndex

_MOST_DOCUMENTS = 8
_IMPORT_LINES = 100  # at the beginning of a document
_EDITED_PLACES = 2
_LINES_AROUND_EDIT = 6
# at a larger distance, the user has come to another place
_LINES_OF_A_PLACE = 40

_IMPORT = re.compile(r"\s*(?:import|from|package|export\s.*\bfrom)\b|.*\brequire\(")


@dataclass
class _Chosen:
    """What was chosen for a place in a document."""

    line: int
    n_changes_elsewhere: int
    code: Choice = field(default_factory=Choice)


class RelatedCode:
    """Chooses code from the open ``documents`` and from the ``project``, if there is one, and remembers what it has
    chosen for each document."""

    def __init__(self, documents: Documents, project: ProjectIndex | None = None) -> None:
        self._documents = documents
        self.project = project
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
            or chosen.code.n_characters > most
        )
        if chosen is None or is_new:
            chosen = self._chosen[document.uri] = _Chosen(line, elsewhere)
            for excerpt in (*_imports(document, before), *_edited_places(others)):
                chosen.code.add(excerpt, most // 2)
            if self.project:
                self.project.add_similar(chosen.code, before, after, most)
        for excerpt in self._defined(names_in_use(before, after), document, others):
            chosen.code.add(excerpt, most)
        return list(chosen.code.excerpts)

    def _defined(self, names: list[str], document: Document, others: list[Document]) -> Iterator[Excerpt]:
        for name in names:
            for other in others:
                line = self._definitions_in(other).get(name)
                if line is not None:
                    yield Excerpt(other.name, "".join(definition(other.lines, line)))
                    break
            else:
                found = self.project.definition(name, without=document.path) if self.project else None
                if found is not None:
                    yield found

    def _definitions_in(self, document: Document) -> dict[str, int]:
        """The lines of ``document`` that define names. They are searched once after each change, since another
        document than the edited one rarely changes."""
        version, found = self._definitions.get(document.uri, (None, {}))
        if version is None or version != document.version:
            found = definitions_in(document.lines)
            self._definitions[document.uri] = (document.version, found)
        return found


def _imports(document: Document, before: str) -> Iterator[Excerpt]:
    """The imports of ``document``, if the beginning of the file is not shown."""
    first = document.lines[0]
    if before.startswith(first) and first.strip():
        return
    lines = [line for line in document.lines[:_IMPORT_LINES] if len(line) < LONGEST_LINE and _IMPORT.match(line)]
    if lines:
        yield Excerpt(document.name, "".join(lines))


def _edited_places(others: list[Document]) -> Iterator[Excerpt]:
    edited = [(other, other.edited_line) for other in others if other.edited_line is not None]
    for other, line in edited[:_EDITED_PLACES]:
        lines = other.lines[max(0, line - _LINES_AROUND_EDIT) : line + _LINES_AROUND_EDIT]
        yield Excerpt(other.name, "".join(shown for shown in lines if len(shown) < LONGEST_LINE))
