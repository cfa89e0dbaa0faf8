"""pygls' protocol with the project's documents, and with an end that a server of several editors survives."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.protocol.json_rpc import RPCRequest

from app.lsp.documents import Documents
from app.lsp.related_code import RelatedCode

log = logging.getLogger(__name__)


class _Ignored:
    """A message that is not processed."""

    jsonrpc = ""


class SuggestionProtocol(LanguageServerProtocol):
    """Keeps the client's ``documents``. When the client sends ``exit``, ``leave`` is called with the exit status that
    the protocol asks for; ``forget``, with the URI of a document that was closed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.documents = Documents()
        self.related = RelatedCode(self.documents)
        self.leave: Callable[[int], object] = sys.exit
        self.forget: Callable[[str], object] = lambda uri: None

    def structure_message(self, data: dict[str, Any]) -> Any:
        """The message of a JSON object. A request with wrong parameters is answered with an error, as the protocol asks
        for; pygls does not answer it, so the editor would wait."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            log.warning("a message of the editor was ignored", exc_info=error)
            if "method" in data and "id" in data:
                sentence = f"The parameters of {str(data['method'])[:100]} are not as the protocol has them."
                self._refuse(data["id"], types.ErrorCodes.InvalidParams, sentence)
            return _Ignored()

    def handle_message(self, message: Any) -> None:
        if self._shutdown and isinstance(message, RPCRequest):
            self._refuse(message.id, types.ErrorCodes.InvalidRequest, "The language server is shutting down.")
            return
        super().handle_message(message)

    def _refuse(self, identifier: int | str, code: int, sentence: str) -> None:
        self._send_response(identifier, error=types.ResponseError(code, sentence))

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        encoding = self.workspace.position_encoding or types.PositionEncodingKind.Utf16
        self.documents.open(params.text_document, encoding)
        self._index(params.text_document.uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self.documents.change(params)
        self._index(params.text_document.uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._close(params.text_document.uri)

    def close_documents(self) -> None:
        for uri in self.documents.uris():
            self._close(uri)

    def _close(self, uri: str) -> None:
        document, project = self.documents.get(uri), self.related.project
        if project and document and document.path:
            project.closed(document.path)
        self.documents.close(uri)
        self.related.forget(uri)
        self.forget(uri)

    def _index(self, uri: str) -> None:
        """Tell the index of the project that a document has changed."""
        document, project = self.documents.get(uri), self.related.project
        if project and document and document.path:
            project.changed(document.path, lambda: list(document.lines))

    @lsp_method(types.EXIT)
    def lsp_exit(self, *arguments: Any) -> None:  # type: ignore[override]  # pygls asks a handler first
        self.leave(0 if self._shutdown else 1)
