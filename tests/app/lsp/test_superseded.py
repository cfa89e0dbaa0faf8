"""A request for suggestions that a newer one supersedes after its answer has come, and before it is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lsprotocol import types

from app.lsp.backends import Answer, BackendError
from app.lsp.language_server import SuggestionServer
from tests.app.api.conftest import run_apart

TEXT = "def area(w, h):\n    ret\n"
PARAMS = types.InlineCompletionParams(
    types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
    types.TextDocumentIdentifier("file:///area.py"),
    types.Position(1, 7),
)


class Backend:
    """Before it answers the first request, the editor sends the second."""

    def __init__(self, *, fails: bool) -> None:
        self._fails = fails
        self.server = SuggestionServer(self, lambda status: None)
        self.server.protocol.documents.open(
            types.TextDocumentItem("file:///area.py", "python", 1, TEXT), types.PositionEncodingKind.Utf16
        )
        self.second: asyncio.Task[types.InlineCompletionList] | None = None
        self.told: list[str] = []

    def ask(self) -> asyncio.Task[types.InlineCompletionList]:
        return asyncio.ensure_future(self.server.protocol.fm.features[types.TEXT_DOCUMENT_INLINE_COMPLETION](PARAMS))

    async def n_positions(self) -> int:
        return 1024

    async def suggest(self, body: dict[str, Any]) -> Answer:
        if self.second is not None:
            return Answer(["urn w * h"], "santacoder/mini@main")
        self.second = self.ask()
        if self._fails:
            raise BackendError("The server is gone.")
        return Answer(["urn 0"], "santacoder/mini@main")

    async def report(self, feedback: dict[str, Any]) -> None:
        self.told.append(feedback["event"])

    def close(self) -> None:
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_only_the_newer_one_counts(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[types.ShowMessageParams] = []
    monkeypatch.setattr(SuggestionServer, "window_show_message", lambda server, params: said.append(params))

    async def ask_twice() -> tuple[list[str], list[str], list[str]]:
        backend = Backend(fails=fails)
        first = await backend.ask()
        assert backend.second is not None
        second = await backend.second
        await asyncio.sleep(0)  # what became of them is told in the background
        older, newer = ([str(item.insert_text) for item in answer.items] for answer in (first, second))
        return older, newer, backend.told

    assert run_apart(ask_twice()) == ([], ["return w * h"], ["shown"])
    assert not said
