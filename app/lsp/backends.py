"""What answers the language server's requests: an engine in this process, or a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from santacoder.errors import UserError


class BackendError(UserError):
    """No suggestions can be had; the message is a sentence for the user."""


class Backend(Protocol):
    """Answers bodies of ``/infill`` (app/lsp/suggestions.py). A cancelled request ends."""

    async def n_positions(self) -> int:
        """The model's context in tokens; loads the model.

        Raises:
            BackendError: there is no model.
        """

    async def suggest(self, body: dict[str, Any]) -> list[str]:
        """The texts for one request.

        Raises:
            BackendError: there are none.
        """


class OpenedLater:
    """A backend that takes seconds to import: a thread opens it at the first use, so that the editor need not wait for
    the answer to its first message."""

    def __init__(self, open_backend: Callable[[], Backend]) -> None:
        self._open = open_backend
        self._opening: asyncio.Future[Backend] | None = None

    async def n_positions(self) -> int:
        return await (await self._opened()).n_positions()

    async def suggest(self, body: dict[str, Any]) -> list[str]:
        return await (await self._opened()).suggest(body)

    async def _opened(self) -> Backend:
        if self._opening is None:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        return await asyncio.shield(self._opening)
