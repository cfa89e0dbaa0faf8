"""The documents that are open in the editor, and positions in them.

https://microsoft.github.io/language-server-protocol. pygls' own documents are split and joined as a whole at each edit,
and at more characters than the protocol's line ends. Here an edit costs what it changes, and its lines.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.uris import to_fs_path

from santacoder.languages import Language, language_of_file

_LANGUAGES: dict[str, Language] = {
    "python": "python",
    "java": "java",
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact"), "javascript"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
# A window begins at a line whose number is a multiple of this, or of a smaller power of two if it has few lines. So it
# mostly keeps its first token while one types.
_LINES_AT_ONCE = 16


class Document:
    """A text as lines with their ends. ``path`` is its file, if it has one; ``edited_line`` is the last line that was
    edited, if any; opening the document is the first of its ``n_changes``."""

    def __init__(self, item: types.TextDocumentItem, encoding: str) -> None:
        self.uri = item.uri
        path = to_fs_path(item.uri)
        self.path = Path(path) if path else None
        self.name = PurePosixPath(unquote(urlsplit(item.uri).path)).name
        self.language = _LANGUAGES.get(item.language_id) or language_of_file(self.name)
        self.version: int | None = item.version
        self.edited_line: int | None = None
        self.n_changes = 1
        self._encoding = encoding
        self.lines = _lines(_valid(item.text))

    def apply(self, change: types.TextDocumentContentChangeEvent) -> None:
        text = _valid(change.text)
        if not isinstance(change, types.TextDocumentContentChangePartial):
            self.lines = _lines(text)
            self.edited_line = 0
            return
        (first, start), (last, end) = sorted((self.place(change.range.start), self.place(change.range.end)))
        text = self.lines[first][:start] + text + self.lines[last][end:]
        self.edited_line = first
        if first and self.lines[first - 1].endswith("\r"):  # a line feed after it would belong to the same line end
            first -= 1
            text = self.lines[first] + text
        lines = _lines(text)
        if last + 1 < len(self.lines):
            lines.pop()  # what is behind the end of its last line is the next line
        self.lines[first : last + 1] = lines

    def place(self, position: types.Position) -> tuple[int, int]:
        """The line and the column in characters of a position; the nearest that exists."""
        if position.line >= len(self.lines):
            return len(self.lines) - 1, len(self.lines[-1])
        number = max(0, position.line)
        line = self.lines[number]
        column = _column(line, max(0, position.character), self._encoding)
        return number, min(column, len(line.rstrip("\r\n")))

    def position(self, line: int, column: int) -> types.Position:
        """The protocol's position of a line and a column in characters."""
        return types.Position(line, _units(self.lines[line][:column], self._encoding))

    def before(self, line: int, column: int, most: int) -> str:
        """At most ``most`` characters before a place. No more of the document is looked at."""
        first, n_characters = line, column
        while first and n_characters <= most:
            first -= 1
            n_characters += len(self.lines[first])
        if n_characters > most:
            unit = min(_LINES_AT_ONCE, 1 << max(0, (line - first).bit_length() - 2))
            first = min(line, -(-(first + 1) // unit) * unit)
        step = max(1, most // 4)
        start = max(0, -(-(column - most) // step) * step) if first == line else 0
        return "".join(self.lines[first:line]) + self.lines[line][start:column]

    def after(self, line: int, column: int, most: int) -> str:
        """At most ``most`` characters after a place, in whole lines except for the first."""
        text = self.lines[line][column : column + most]
        for next_line in self._from(line + 1):
            if len(text) + len(next_line) > most:
                break
            text += next_line
        return text

    def _from(self, line: int) -> Iterator[str]:
        while line < len(self.lines):
            yield self.lines[line]
            line += 1


class Documents:
    """The open documents by URI, the one that was opened or edited last at the end."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._n_changes = 0

    def open(self, item: types.TextDocumentItem, encoding: str) -> None:
        self._documents.pop(item.uri, None)
        self._documents[item.uri] = Document(item, encoding)
        self._n_changes += 1

    def change(self, params: types.DidChangeTextDocumentParams) -> None:
        document = self._documents.pop(params.text_document.uri, None)
        if document is None:
            return  # it was never opened, as the protocol requires
        for change in params.content_changes:
            document.apply(change)
        document.version = params.text_document.version
        document.n_changes += 1
        self._documents[document.uri] = document
        self._n_changes += 1

    def close(self, uri: str) -> None:
        self._documents.pop(uri, None)
        self._n_changes += 1

    def uris(self) -> list[str]:
        return list(self._documents)

    def get(self, uri: str) -> Document | None:
        return self._documents.get(uri)

    def n_changes_elsewhere(self, document: Document) -> int:
        """The number of changes to all other documents, also those that have been closed."""
        return self._n_changes - document.n_changes

    def others(self, document: Document, most: int) -> list[Document]:
        """The ``most`` other documents that were opened or edited last, the latest first."""
        others = (other for other in reversed(self._documents.values()) if other is not document)
        return [other for _, other in zip(range(most), others, strict=False)]


def _lines(text: str) -> list[str]:
    """``text`` split after each LF, CRLF and CR; the last line has no end."""
    lines = list(io.StringIO(text, newline=""))
    return lines if lines and not lines[-1].endswith(("\n", "\r")) else [*lines, ""]


def _valid(text: str) -> str:
    """``text`` with lone surrogates replaced, which no file has and no model reads."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _column(line: str, units: int, encoding: str) -> int:
    """The column in characters after ``units`` code units of ``line``; inside a character, the column before it."""
    if line.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return units
    if encoding == types.PositionEncodingKind.Utf8:
        return len(line[:units].encode()[:units].decode(errors="ignore"))
    return len(line[:units].encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore"))


def _units(text: str, encoding: str) -> int:
    if text.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return len(text)
    return len(text.encode()) if encoding == types.PositionEncodingKind.Utf8 else len(text.encode("utf-16-le")) // 2
