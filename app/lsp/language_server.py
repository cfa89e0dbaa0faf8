"""The language server: ``textDocument/inlineCompletion``, and ``textDocument/completion`` for editors without it.

https://microsoft.github.io/language-server-protocol, version 3.18. There is one per connection; connections share a
backend.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import NamedTuple

from lsprotocol import types
from pygls.exceptions import FeatureRequestError, JsonRpcException
from pygls.lsp.server import LanguageServer

from app.lsp.backends import Answer, Backend
from app.lsp.cursor import typed_word
from app.lsp.documents import Document
from app.lsp.editor_settings import SECTION, EditorSettings, updated
from app.lsp.protocol import SuggestionProtocol
from app.lsp.shown import ACCEPTED, Shown, ShownSuggestions
from app.lsp.suggestions import Code, different, infill_body
from app.lsp.typed_through import LastAnswer
from app.project.project_index import ProjectIndex
from app.version import installed_version
from santacoder.errors import UserError

_TRIGGERS = [".", "(", "[", "{", ",", "=", " "]
_LABEL_CHARACTERS = 80

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Suggestion:
    """``text`` replaces ``range``, which is the word that the user has begun, and begins with it."""

    text: str
    range: types.Range


class Found(NamedTuple):
    """The suggestions for a request, and what the user sees of them."""

    suggestions: list[Suggestion]
    shown: Shown | None


class SuggestionServer(LanguageServer):
    """A connection's settings, and its requests in progress. ``leave`` is called with an exit status when the client
    sends ``exit``; ``project`` is the index of the user's project, if there is one."""

    protocol: SuggestionProtocol

    def __init__(self, backend: Backend, leave: Callable[[int], object], project: ProjectIndex | None = None) -> None:
        super().__init__("santacoder", installed_version(), protocol_cls=SuggestionProtocol)
        self.protocol.leave = leave
        self.protocol.related.project = project
        self._last: dict[str, LastAnswer] = {}
        self._shown = ShownSuggestions(lambda feedback: self._in_background(self._backend.report(feedback)))
        self.protocol.forget = self._forget
        self._backend = backend
        self._settings = EditorSettings()
        self._running: dict[tuple[str, str], asyncio.Task[Found | None]] = {}
        self._asked_at: dict[tuple[str, str], float] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._is_registered = False
        self._problems: list[str] = []  # found before messages may be sent
        self._said = ""
        self._model = self._notice = ""
        self._register()

    def end(self) -> None:
        """Cancel all requests and close all documents, as the editor no longer can."""
        for task in (*self._running.values(), *self._background):
            task.cancel()
        self.protocol.close_documents()

    def report_server_error(self, error: Exception, source: type[Exception]) -> None:
        """Called for messages that cannot be read; requests that fail have responses."""
        if not issubclass(source, FeatureRequestError):
            log.error("a message of the editor could not be processed", exc_info=error)
            self._say("The editor sent a message that the language server cannot read; its log has the details.")

    def _forget(self, uri: str) -> None:
        self._shown.leave(uri)
        self._last.pop(uri, None)

    def _register(self) -> None:
        """Register the handlers as functions, because pygls cannot register methods."""

        @self.feature(types.INITIALIZE)
        def initialize(params: types.InitializeParams) -> None:
            self._settings, self._problems = updated(self._settings, params.initialization_options)
            self._shown.editor = params.client_info.name if params.client_info else ""
            if self._wants_list(params.capabilities):
                self.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=_TRIGGERS))(
                    completion
                )

        @self.feature(types.INITIALIZED)
        def initialized(params: types.InitializedParams) -> None:
            for problem in self._problems:
                self._say(problem)
            self._in_background(self._configure())
            self._in_background(self._load())

        @self.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
        def configuration_changed(params: types.DidChangeConfigurationParams) -> None:
            if params.settings:  # some editors send them, others expect to be asked
                self._apply(params.settings)
            else:
                self._in_background(self._configure())

        @self.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
        async def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList:
            invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
            method, selected = types.TEXT_DOCUMENT_INLINE_COMPLETION, params.context.selected_completion_info
            suggestions = await self._newest(method, params, invoked, selected)
            accepted = _accepted(params.text_document)
            return types.InlineCompletionList(
                [types.InlineCompletionItem(one.text, range=one.range, command=accepted) for one in suggestions]
            )

        @self.command(ACCEPTED)
        def accept(uri: str = "") -> None:
            self._shown.accept(uri)

        async def completion(params: types.CompletionParams) -> types.CompletionList:
            suggestions = await self._newest(types.TEXT_DOCUMENT_COMPLETION, params, invoked=False)
            accepted = _accepted(params.text_document)
            return types.CompletionList(True, [_completion_item(one, accepted) for one in suggestions])

    def _wants_list(self, client: types.ClientCapabilities) -> bool:
        """Whether to offer ``textDocument/completion``: as set, otherwise to editors that know nothing else."""
        if self._settings.completion is not None:
            return self._settings.completion
        return client.text_document is None or client.text_document.inline_completion is None

    # settings

    async def _configure(self) -> None:
        """Ask the editor for its settings, and to say when they change."""
        workspace = self.client_capabilities.workspace
        if workspace is None:
            return
        try:
            if workspace.configuration:
                asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
                self._apply((await self.workspace_configuration_async(asked))[0])
            changes = workspace.did_change_configuration
            if changes and changes.dynamic_registration and not self._is_registered:
                self._is_registered = True
                registration = types.Registration(
                    SECTION, types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION}
                )
                await self.client_register_capability_async(types.RegistrationParams([registration]))
        except JsonRpcException as error:
            log.warning("the editor did not tell its settings: %s", error)

    def _apply(self, given: object) -> None:
        self._settings, problems = updated(self._settings, given)
        for problem in problems:
            self._say(problem)

    async def _load(self) -> None:
        """Load the model before the first request."""
        try:
            await self._backend.n_positions()
        except Exception as error:
            self._say(_sentence(error))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # requests

    async def _newest(
        self,
        method: str,
        params: types.InlineCompletionParams | types.CompletionParams,
        invoked: bool,
        selected: types.SelectedCompletionInfo | None = None,
    ) -> list[Suggestion]:
        """The suggestions for a request, or none once there is a newer one of the same kind for its document.

        Raises:
            JsonRpcException: there are none because something failed; the user has been told.
        """
        document = self.protocol.documents.get(params.text_document.uri)
        if document is None:
            return []
        key = (method, document.uri)
        work = asyncio.ensure_future(self._suggest(key, document, params.position, invoked, selected))
        superseded = self._running.get(key)
        self._running[key] = work
        if superseded is not None:
            superseded.cancel()
        try:
            found = await work
            if self._running.get(key) is not work:  # it ended just before it was cancelled
                return []
        except asyncio.CancelledError:
            if self._running.get(key) is work:  # cancelled by the client
                raise
            return []
        except Exception as error:
            if self._running.get(key) is not work:
                return []
            sentence = _sentence(error)
            self._say(sentence)
            raise JsonRpcException(sentence, code=types.LSPErrorCodes.RequestFailed) from None
        finally:
            if self._running.get(key) is work:
                del self._running[key]
        self._said = ""
        if found is None:
            return []
        self._shown.show(document.uri, found.shown)
        return found.suggestions

    async def _suggest(
        self,
        key: tuple[str, str],
        document: Document,
        position: types.Position,
        invoked: bool,
        selected: types.SelectedCompletionInfo | None,
    ) -> Found | None:
        """What is found for a position of ``document``; None if the document has changed meanwhile."""
        settings, asked_for = self._settings, document.version
        line, column = document.place(position)
        n_positions = await self._backend.n_positions()
        if document.version != asked_for:
            return None  # the position is one of an older text
        if selected is not None:  # the suggestion continues the entry of the editor's own list
            start, column = (document.place(end)[1] for end in (selected.range.start, selected.range.end))
            written = selected.text
        else:
            written = typed_word(document.lines[line][:column])
            start = column - len(written)
        code = Code(document, line, start, column, written)
        body = infill_body(code, settings, self.protocol.related, n_positions, invoked=invoked)
        if not (body["input_prefix"] or body["input_suffix"] or body["input_extra"]):
            return Found([], None)  # an empty document
        last = self._last.setdefault(document.uri, LastAnswer())
        answer = None if invoked else last.rest(body)
        if answer is None:
            if not invoked:
                await self._debounce(key, settings)
            answer = await self._backend.suggest(body)
            last.keep(body, answer)
            self._tell_of_model(answer)
        texts = different(answer.texts)
        if document.version != asked_for:
            return None
        before = document.lines[line][:start] + written
        shown = Shown(line, before + texts[0], answer.model, document.language) if texts else None
        replaced = types.Range(document.position(line, start), document.position(line, column))
        return Found([Suggestion(written + text, replaced) for text in texts], shown)

    async def _debounce(self, key: tuple[str, str], settings: EditorSettings) -> None:
        """Wait while requests come fast; the first after a pause does not wait."""
        now, before = time.monotonic(), self._asked_at.get(key)
        self._asked_at[key] = now
        seconds = settings.debounce_ms / 1000
        if before is not None and now - before < seconds:
            await asyncio.sleep(seconds)

    def _tell_of_model(self, answer: Answer) -> None:
        """Tell the user when another model answers than before, such as one that has been tuned to the project."""
        if self._model and answer.model != self._model:
            sentence = f"Suggestions now come from {answer.model}."
            self.window_show_message(types.ShowMessageParams(types.MessageType.Info, sentence))
        if answer.notice and answer.notice != self._notice:
            self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, answer.notice))
        self._model, self._notice = answer.model, answer.notice

    def _say(self, sentence: str) -> None:
        """Show a message to the user; not again while every request fails in the same way."""
        if sentence != self._said:
            self._said = sentence
            self.window_show_message(types.ShowMessageParams(types.MessageType.Error, sentence))


def _sentence(error: Exception) -> str:
    """The user's message for ``error``; an unexpected one is logged."""
    if isinstance(error, UserError):
        return str(error)
    log.error("the language server failed", exc_info=error)
    return "Something went wrong in the language server; the details are in its log."


def _accepted(document: types.TextDocumentIdentifier) -> types.Command:
    return types.Command("Suggestion accepted", ACCEPTED, arguments=[document.uri])


def _completion_item(suggestion: Suggestion, accepted: types.Command) -> types.CompletionItem:
    first_line = suggestion.text.strip().split("\n", 1)[0].strip()
    is_all = first_line == suggestion.text.strip() and len(first_line) <= _LABEL_CHARACTERS
    return types.CompletionItem(
        label=first_line if is_all else f"{first_line[:_LABEL_CHARACTERS]} …",
        kind=types.CompletionItemKind.Snippet,
        detail="SantaCoder",
        documentation=None if is_all else types.MarkupContent(types.MarkupKind.PlainText, suggestion.text),
        filter_text=suggestion.text.split("\n", 1)[0],
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(suggestion.range, suggestion.text),
        command=accepted,
    )
