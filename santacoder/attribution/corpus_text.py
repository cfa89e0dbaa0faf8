"""The stored text of the indexed files: token by token where matches are widened, line by line where they are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from santacoder.attribution.build import digest
from santacoder.attribution.index_file import ANCHOR_TOKENS, Contents
from santacoder.attribution.tokens import COMMENT_STYLES, Tokens, tokenize
from santacoder.errors import AttributionError


class CorpusText:
    """``text.bin`` beside an index, memory-mapped. A file is read only where it is needed."""

    def __init__(self, path: Path, index: Contents) -> None:
        """
        Raises:
            AttributionError: it is not the text that was indexed.
        """
        if path.stat().st_size != index.n_bytes:
            raise AttributionError(
                f"{path} has {path.stat().st_size:,} bytes, but the index beside it was made from {index.n_bytes:,}: "
                "it is cut short, or another corpus. Build the index again with python -m train.data.index."
            )
        self._path = path
        self._index = index
        self._bytes = np.memmap(path, np.uint8, "r") if index.n_bytes else np.empty(0, np.uint8)

    def file(self, number: int) -> bytes:
        """The UTF-8 text of a file.

        Raises:
            AttributionError: it was changed since it was indexed.
        """
        start, end = self._index.files["byte"][number : number + 2].tolist()
        content = self._bytes[start:end].tobytes()
        if digest(content) != self._index.files["digest"][number]:
            raise AttributionError(
                f"{self._path} was changed since it was indexed (bytes {start:,} to {end:,}). Build the index again "
                "with python -m train.data.index."
            )
        return content

    def n_tokens(self, number: int) -> int:
        first, end = self._index.files["token"][number : number + 2].tolist()
        return int(end - first)

    def tokens(self, number: int, content: bytes, first: int, last: int) -> tuple[int, Tokens]:
        """The tokens of a file's ``content`` from ``first`` to before ``last``, and some on either side, with places in
        the file; and the number of the first of them.

        Only the lines between two anchors are looked at: a token depends on nothing but its line.
        """
        begin, end = self._index.files["anchor"][number : number + 2].tolist()
        anchors = self._index.anchors["byte"][begin:end]
        below, above = first // ANCHOR_TOKENS, -(-last // ANCHOR_TOKENS)
        start = int(anchors[below])
        line_start = content.rfind(b"\n", 0, start) + 1
        line_end = content.find(b"\n", int(anchors[above])) if above < len(anchors) else -1
        style = COMMENT_STYLES[self._index.origins[self._index.files["origin"][number]].language]
        found = tokenize(content[line_start : line_end if line_end >= 0 else len(content)], style)
        skipped = int(np.searchsorted(found.starts, start - line_start))
        places = Tokens(found.hashes[skipped:], found.starts[skipped:] + line_start, found.ends[skipped:] + line_start)
        return below * ANCHOR_TOKENS, places
