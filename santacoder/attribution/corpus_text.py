"""The stored text of the indexed files, read by tokens to extend matches, and by lines to show them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from santacoder.attribution.build import digest
from santacoder.attribution.contents import ANCHOR_TOKENS, Contents
from santacoder.attribution.index_checks import is_utf8
from santacoder.attribution.tokens import COMMENT_STYLES, Tokens, tokenize
from santacoder.errors import AttributionError


class Piece(NamedTuple):
    """Some tokens of a file: ``first`` is the number of the first one, ``tokens`` have positions in ``content``, and
    ``line`` is the number of the line, from 1, in which ``content`` begins.
    """

    first: int
    tokens: Tokens
    content: bytes
    line: int


class CorpusText:
    """The memory-mapped ``text.bin`` of an index; files are read only when needed."""

    def __init__(self, path: Path, index: Contents) -> None:
        """Open the text.

        Raises:
            AttributionError: it is not the text that was indexed.
        """
        self._path = path
        self._index = index
        self._time = path.stat().st_mtime_ns
        self._unchanged: set[int] = set()
        if path.stat().st_size != index.n_bytes:
            raise AttributionError(
                f"{path} has {path.stat().st_size:,} bytes, but the index beside it was made from {index.n_bytes:,}: "
                "it is truncated or belongs to another corpus. Build the index again with python -m train.data index."
            )
        self._bytes = np.memmap(path, np.uint8, "r") if index.n_bytes else np.empty(0, np.uint8)

    def check(self, number: int) -> None:
        """Check that a file is unchanged since it was indexed. Its digest is computed at the first check.

        Raises:
            AttributionError: the file has changed, or the whole text has been changed or deleted.
        """
        try:
            changed = self._path.stat().st_mtime_ns != self._time
        except FileNotFoundError:
            changed = True
        if changed:
            raise AttributionError(f"{self._path} was changed while in use. Restart the program that queries it.")
        if number in self._unchanged:
            return
        start, end = self._extent(number)
        content = self._bytes[start:end].tobytes()
        if digest(content) != self._index.files["digest"][number] or not is_utf8(content):
            raise AttributionError(
                f"{self._path} was changed since it was indexed (bytes {start:,} to {end:,}). Build the index again "
                "with python -m train.data index."
            )
        self._unchanged.add(number)

    def file(self, number: int) -> bytes:
        """The UTF-8 text of a file.

        Raises:
            AttributionError: it has changed since it was indexed.
        """
        self.check(number)
        start, end = self._extent(number)
        return self._bytes[start:end].tobytes()

    def n_tokens(self, number: int) -> int:
        first, end = self._index.files["token"][number : number + 2].tolist()
        return int(end - first)

    def tokens(self, number: int, first: int, last: int) -> Piece:
        """The tokens of a file from ``first`` to before ``last``, and some on either side.

        Only the lines between two anchors are read, because a token depends only on its line.

        Raises:
            AttributionError: the file has changed since it was indexed.
        """
        self.check(number)
        start, end = self._extent(number)
        begin, finish = self._index.files["anchor"][number : number + 2].tolist()
        anchors = self._index.anchors[begin:finish]
        below, above = first // ANCHOR_TOKENS, -(-last // ANCHOR_TOKENS)
        anchor = start + int(anchors["byte"][below])
        line_start = self._line_start(start, anchor)
        if above < len(anchors):
            end = self._line_end(start + int(anchors["byte"][above]), end)
        content = self._bytes[line_start:end].tobytes()
        style = COMMENT_STYLES[self._index.origins[self._index.files["origin"][number]].language]
        found = tokenize(content, style, renamed=self._index.parameters.renamed)
        skipped = int(np.searchsorted(found.starts, anchor - line_start))
        tokens = Tokens(found.hashes[skipped:], found.starts[skipped:], found.ends[skipped:], found.exact[skipped:])
        return Piece(below * ANCHOR_TOKENS, tokens, content, int(anchors["line"][below]))

    def _extent(self, number: int) -> tuple[int, int]:
        """The start and end of a file in the text."""
        start, end = self._index.files["byte"][number : number + 2].tolist()
        return int(start), int(end)

    def _line_start(self, start: int, place: int) -> int:
        """The start of the line that contains ``place``, in a file that begins at ``start``."""
        width = 256
        while True:
            begin = max(start, place - width)
            breaks = self._bytes[begin:place].tobytes().rfind(b"\n")
            if breaks >= 0 or begin == start:
                return begin + breaks + 1 if breaks >= 0 else start
            width *= 8

    def _line_end(self, place: int, end: int) -> int:
        """The end of the line that contains ``place``, in a file that ends at ``end``."""
        width = 256
        while True:
            behind = min(end, place + width)
            breaks = self._bytes[place:behind].tobytes().find(b"\n")
            if breaks >= 0 or behind == end:
                return place + breaks if breaks >= 0 else end
            width *= 8
