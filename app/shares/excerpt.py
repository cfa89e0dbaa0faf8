"""The preview of a generation: a few lines around the generated text."""

from __future__ import annotations

import json
import re

from app.generation import Generation

Piece = tuple[str, bool]
"""Text, and whether the model wrote it."""

_LINES_BEFORE = 6
_LINES = 14
_CHARACTERS = 1_200
_TITLE_LENGTH = 80
_HEADING = re.compile(r"\s*(?:def|class|async def|function|export|public|private|protected|const)\b")


def excerpt(generation: Generation, candidate: int) -> list[Piece]:
    """About fourteen lines of the code, from a few lines before the first generated text."""
    code, spans = generation.code(candidate), generation.spans(candidate)
    begin = spans[0][0]
    for _ in range(_LINES_BEFORE + 1):
        begin = code.rfind("\n", 0, max(begin, 0))
    begin += 1
    end = begin
    for _ in range(_LINES):
        end = code.find("\n", end) + 1 or len(code)
    end = min(len(code[:end].rstrip()), begin + _CHARACTERS)
    pieces, position = [], begin
    for left, right in spans:
        for stop, written in ((left, False), (right, True)):
            stop = min(max(stop, position), end)
            pieces.append((code[position:stop], written))
            position = stop
    pieces.append((code[position:end], False))
    return [(text, written) for text, written in pieces if text]


def suggested_title(generation: Generation) -> str:
    """The last definition before the first generated text, or the first line of the code."""
    lines = [line for line in generation.parts[0].splitlines() if line.strip()] or ["Untitled"]
    heading = next((line for line in reversed(lines) if _HEADING.match(line)), lines[0])
    return heading.strip().rstrip("{:").rstrip()[:_TITLE_LENGTH]


def dump(pieces: list[Piece]) -> str:
    return json.dumps(pieces)


def load(text: str) -> list[Piece]:
    return [(piece, written) for piece, written in json.loads(text)]
