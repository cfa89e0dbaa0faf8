"""What answers the language server's requests: an engine in this process, or a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from santacoder.errors import UserError


class BackendError(UserError):
    """No suggestions can be had; the message is a sentence for the user."""


@dataclass(frozen=True)
class Answer:
    """The texts for a request, and the name of the revision that wrote them. ``notice`` is a sentence for the user
    about that revision, if there is something to tell."""

    texts: list[str]
    model: str
    notice: str = ""


class Backend(Protocol):
    """Answers bodies of ``/infill`` (app/lsp/suggestions.py). A cancelled request ends."""

    async def n_positions(self) -> int:
        """The model's context in tokens; loads the model.

        Raises:
            BackendError: there is no model.
        """

    async def suggest(self, body: dict[str, Any]) -> Answer:
        """The answer to one request.

        Raises:
            BackendError: there is none.
        """

    async def report(self, feedback: dict[str, Any]) -> None:
        """Hand on what became of a suggestion (app/api/feedback.py), if there is somebody who counts it."""

    def close(self) -> None:
        """Keep what must not be lost; the process ends."""


class OpenedLater:
    """A backend that takes seconds to import: a thread opens it at the first use, so that the editor need not wait for
    the answer to its first message."""

    def __init__(self, open_backend: Callable[[], Backend]) -> None:
        self._open = open_backend
        self._opening: asyncio.Future[Backend] | None = None

    async def n_positions(self) -> int:
        return await (await self._opened()).n_positions()

    async def suggest(self, body: dict[str, Any]) -> Answer:
        return await (await self._opened()).suggest(body)

    async def report(self, feedback: dict[str, Any]) -> None:
        await (await self._opened()).report(feedback)

    def close(self) -> None:
        if self._opening is not None and self._opening.done() and not self._opening.exception():
            self._opening.result().close()

    async def _opened(self) -> Backend:
        if self._opening is None:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        return await asyncio.shield(self._opening)
