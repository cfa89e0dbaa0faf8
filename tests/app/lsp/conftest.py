"""An editor: pygls' own client, in its own event loop, with a language server in another process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from app.settings import Settings
from tests.app.api.conftest import Serving, serve
from tests.conftest import REPOSITORY

T = TypeVar("T")
SECONDS = 120
URI = "file:///project/area.py"
AUTOMATIC, INVOKED = types.InlineCompletionTriggerKind.Automatic, types.InlineCompletionTriggerKind.Invoked
DATA = TemporaryDirectory()  # where the engine inside counts
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "XDG_DATA_HOME": DATA.name}


class Editor:
    """A client with one open document at a time, whose calls wait for the responses."""

    def __init__(self, configuration: object = None, name: str = "an editor") -> None:
        self.name = name
        self.configuration = configuration
        self.messages: list[str] = []
        self.capabilities: types.ServerCapabilities | None = None
        self.server: types.ServerInfo | None = None
        self._version = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.client = LanguageClient("editor", "1")
        # pygls cannot register methods
        self.client.feature(types.WINDOW_SHOW_MESSAGE)(lambda params: self.messages.append(params.message))
        self.client.feature(types.WORKSPACE_CONFIGURATION)(lambda params: self._configuration(params))
        self.client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda params: None)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    def call(self, work: Callable[[], T]) -> T:
        async def called() -> T:
            return work()

        return self.run(called())

    def start(self, *options: str) -> None:
        self.run(self.client.start_io(sys.executable, "-m", "app.lsp", *options, env=ENVIRONMENT))

    def initialize(self, options: object = None, encodings: tuple[str, ...] = ("utf-16",), inline: bool = True) -> None:
        capabilities = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=encodings),
            text_document=types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities() if inline else None
            ),
            workspace=types.WorkspaceClientCapabilities(
                configuration=self.configuration is not None,
                did_change_configuration=types.DidChangeConfigurationClientCapabilities(dynamic_registration=True),
            ),
        )
        params = types.InitializeParams(
            capabilities=capabilities,
            initialization_options=options,
            client_info=types.ClientInfo(self.name),
        )
        answer = self.run(self.client.initialize_async(params))
        self.capabilities, self.server = answer.capabilities, answer.server_info
        self.call(lambda: self.client.initialized(types.InitializedParams()))

    def open(self, text: str, uri: str = URI, language: str = "python") -> None:
        self._version += 1
        item = types.TextDocumentItem(uri, language, self._version, text)
        self.call(lambda: self.client.text_document_did_open(types.DidOpenTextDocumentParams(item)))

    def close(self, uri: str = URI) -> None:
        params = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
        self.call(lambda: self.client.text_document_did_close(params))

    def type(self, line: int, character: int, text: str, uri: str = URI) -> None:
        self._version += 1
        place = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(types.Range(place, place), text)
        identifier = types.VersionedTextDocumentIdentifier(self._version, uri)
        params = types.DidChangeTextDocumentParams(identifier, [change])
        self.call(lambda: self.client.text_document_did_change(params))

    def accept(self, item: types.InlineCompletionItem) -> None:
        """Run the command of an accepted suggestion, as an editor does after inserting it."""
        assert item.command is not None
        params = types.ExecuteCommandParams(item.command.command, item.command.arguments)
        self.run(self.client.workspace_execute_command_async(params))

    def configure(self, settings: object) -> None:
        params = types.DidChangeConfigurationParams(settings)
        self.call(lambda: self.client.workspace_did_change_configuration(params))

    def asking(
        self,
        line: int,
        character: int,
        kind: types.InlineCompletionTriggerKind = INVOKED,
        selected: types.SelectedCompletionInfo | None = None,
    ) -> Any:
        """The future of a request for suggestions."""
        context = types.InlineCompletionContext(kind, selected)
        params = types.InlineCompletionParams(
            context, types.TextDocumentIdentifier(URI), types.Position(line, character)
        )
        return self.call(lambda: self.client.protocol.send_request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params))

    def suggestions(self, *arguments: Any, **named: Any) -> list[types.InlineCompletionItem]:
        return list(self.asking(*arguments, **named).result(SECONDS).items)

    def wait_for_message(self) -> str:
        async def wait() -> str:
            while not self.messages:
                await asyncio.sleep(0.01)
            return self.messages.pop(0)

        return self.run(asyncio.wait_for(wait(), SECONDS))

    def leave(self) -> int | None:
        """Shut the server down; its exit status, if it is a process of this editor's."""

        async def leave() -> int | None:
            await self.client.shutdown_async(None)
            self.client.exit(None)
            process = self.client._server
            return None if process is None else await asyncio.wait_for(process.wait(), SECONDS)

        return self.run(leave())

    def _configuration(self, params: types.ConfigurationParams) -> list[object]:
        assert [item.section for item in params.items] == ["santacoder"]
        return [self.configuration]


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu", page=False)) as serving:
        yield serving


@pytest.fixture(scope="module")
def language_server(serving: Serving) -> Iterator[subprocess.Popen[str]]:
    """The process of a language server over TCP, in front of ``serving``."""
    command = [sys.executable, "-m", "app.lsp", "--tcp", "0", "--url", serving.url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        yield process
        process.terminate()


@pytest.fixture(scope="module")
def port(language_server: subprocess.Popen[str]) -> int:
    assert language_server.stderr is not None
    return int(language_server.stderr.readline().split()[3].rpartition(":")[2])


@pytest.fixture
def editor(port: int) -> Iterator[Editor]:
    """An editor that is connected over TCP, and has not said anything yet."""
    editor = Editor()
    editor.run(editor.client.start_tcp("127.0.0.1", port))
    yield editor
    editor.leave()
