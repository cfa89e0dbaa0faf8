"""Code of a project for requests that come without it: editors send the text around the cursor, and the server adds
what the project has on it.

Clients send no place, so a place is recognised by the lines before it. What was chosen for it stays while somebody
types there, because it stands in front of what they type (app/lsp/related_code.py).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app.project.excerpts import Choice, Excerpt, ShownLines, names_in_use, with_heading
from app.project.project_index import ProjectIndex
from santacoder.engine.request import CompletionRequest
from santacoder.errors import UserError

_MOST_CHARACTERS = 768  # 256 tokens, as in the language server
_MOST_PLACES = 256  # that are remembered
_LINES_OF_A_NAME = 2  # by which a place is recognised
_LEAST_CHARACTERS_OF_A_NAME = 20
_CHARACTERS_READ = 50_000  # on either side of the gap; more than contexts of 8,192 tokens mostly hold
_CHARACTERS_OF_A_PLACE = 2000  # at a larger distance, the user has come to another place


def require_project(folder: Path | None) -> None:
    """Check the folder that the user named, if any.

    Raises:
        UserError: it is no folder.
    """
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give --project the folder of your code.")


class ProjectContext:
    """Adds code of the project in ``folder`` to requests."""

    def __init__(self, folder: Path) -> None:
        self.index = ProjectIndex(folder)
        self._lock = threading.Lock()
        self._places: OrderedDict[str, Choice] = OrderedDict()
        self._version = -1

    def added_to(self, request: CompletionRequest) -> CompletionRequest:
        """``request`` with code of the project, if it asks for what belongs in a gap. Others are left as they are: they
        continue or score exactly the text that they have."""
        if request.suffix is None or request.prefix_ids is not None or request.echo:
            return request
        before, after = request.prefix[-_CHARACTERS_READ:], request.suffix[:_CHARACTERS_READ]
        shown = ShownLines(before, after)
        with self._lock:
            choice = self._choice_at(before, after)
            for excerpt in self._definitions(before, after):
                if not shown.repeat(excerpt):
                    choice.add(excerpt, _MOST_CHARACTERS)
            code = "".join(with_heading(excerpt.name, excerpt.text) for excerpt in choice.excerpts)
        return replace(request, related=code)

    def _choice_at(self, before: str, after: str) -> Choice:
        """What was chosen for this place, or else similar places of the project."""
        if self._version != self.index.version:
            self._version = self.index.version
            self._places.clear()
        near = before[-_CHARACTERS_OF_A_PLACE:]
        for name, choice in self._places.items():
            if name in near:
                self._places.move_to_end(name)
                return choice
        choice = Choice()
        self.index.add_similar(choice, before, after, _MOST_CHARACTERS)
        name = "".join(near.splitlines(keepends=True)[:-1][-_LINES_OF_A_NAME:])
        if len(name.strip()) >= _LEAST_CHARACTERS_OF_A_NAME:
            self._places[name] = choice
            if len(self._places) > _MOST_PLACES:
                self._places.popitem(last=False)
        return choice

    def _definitions(self, before: str, after: str) -> Iterator[Excerpt]:
        for name in names_in_use(before, after):
            found = self.index.definition(name, without=None)
            if found is not None:
                yield found
