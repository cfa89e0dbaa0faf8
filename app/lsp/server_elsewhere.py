"""Suggestions from a running server."""

from __future__ import annotations

import logging
from typing import Any

import httpx

from app.lsp.backends import Answer, BackendError

log = logging.getLogger(__name__)

_SECONDS = 60
_MOST_CHARACTERS = 300  # of an answer that is quoted


class ServerElsewhere:
    """The server at ``url``; ``model`` is ``repo@revision``, or the server's own if None."""

    def __init__(self, url: str, api_key: str | None, model: str | None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = url.rstrip("/")
        self._model = model
        self._n_positions: int | None = None
        self._client = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=_SECONDS)

    async def n_positions(self) -> int:
        if self._n_positions is None:
            answer = await self._ask("GET", "/props")
            try:
                self._n_positions = int(answer["default_generation_settings"]["n_ctx"])
            except (KeyError, TypeError, ValueError) as error:
                raise BackendError(f"{self._url}/props has no context length; is the address right?") from error
        return self._n_positions

    async def suggest(self, body: dict[str, Any]) -> Answer:
        named = {"model": self._model} if self._model else {}
        answer = await self._ask("POST", "/infill", {**body, **named})
        texts = answer if isinstance(answer, list) else [answer]
        try:
            return Answer([str(text["content"]) for text in texts], str(texts[0]["model"]))
        except (KeyError, TypeError, IndexError) as error:
            raise BackendError(f"{self._url}/infill answered without a text.") from error

    async def report(self, feedback: dict[str, Any]) -> None:
        try:
            await self._ask("POST", "/v1/feedback", feedback)
        except BackendError as error:  # an older server, or one that is busy: the user loses nothing
            log.info("the server did not count feedback: %s", error)

    def close(self) -> None:
        """There is nothing to keep."""

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            response = await self._client.request(method, path, json=body)
            answer = response.json()
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise BackendError(f"The server at {self._url} cannot be reached: {said}") from error
        except ValueError as error:
            raise BackendError(
                f"{self._url}{path} answered with {response.status_code} and no JSON; is the address right?"
            ) from error
        if response.is_error:
            raise BackendError(f"The server at {self._url} refused the request: {_message(answer)}")
        return answer


def _message(answer: Any) -> str:
    """The message of an error, wherever the protocol puts it."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    message = error.get("message", error) if isinstance(error, dict) else error
    return str(message)[:_MOST_CHARACTERS]
