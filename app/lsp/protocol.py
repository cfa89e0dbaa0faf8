"""pygls' protocol with the project's documents, and with an end that a server of several editors survives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol, lsp_method

from app.lsp.documents import Documents
from app.lsp.related_code import RelatedCode


class SuggestionProtocol(LanguageServerProtocol):
    """Keeps the client's ``documents``. When the client sends ``exit``, ``leave`` is called with the exit status that
    the protocol asks for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.documents = Documents()
        self.related = RelatedCode(self.documents)
        self.leave: Callable[[int], object] = sys.exit

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        encoding = self.workspace.position_encoding or types.PositionEncodingKind.Utf16
        self.documents.open(params.text_document, encoding)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self.documents.change(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.documents.close(params.text_document.uri)
        self.related.forget(params.text_document.uri)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *arguments: Any) -> None:  # type: ignore[override]  # pygls asks a handler first
        self.leave(0 if self._shutdown else 1)
