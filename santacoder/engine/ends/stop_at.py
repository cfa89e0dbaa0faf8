"""Ends a text with its line, its block or its function."""

from __future__ import annotations

import re
from typing import Literal

from santacoder.engine.ends.brackets import BracketEnd
from santacoder.engine.ends.indentation import PythonEnd
from santacoder.engine.ends.lexer import Lexer, Token
from santacoder.languages import Language, guess_language
from santacoder.sampling import StopAt

# characters of the prompt that are parsed at most; the enclosing structure is rarely further away
_CHARACTERS = 8000
# a line that is certainly code, not inside a comment or string, wherever the prompt was truncated
_CODE = {
    "python": re.compile(r"^[ \t]*(?:async def|def|class|@\w+|import|from)\b", re.MULTILINE),
    "java": re.compile(r"^[ \t]*(?:public|private|protected|static|class|import|@\w+)\b", re.MULTILINE),
    "javascript": re.compile(r"^[ \t]*(?:function|class|const|let|var|import|export|module)\b", re.MULTILINE),
}


class LineEnd:
    """Passes text on up to the end of the line, or of the first line that is not blank."""

    def __init__(self) -> None:
        self._is_new = True

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to show, and whether it has ended."""
        for index, character in enumerate(text):
            if character == "\n" and not self._is_new:
                return text[:index], True
            self._is_new = self._is_new and character.isspace()
        return text, False

    def finish(self) -> str:
        return ""


class StructureEnd:
    """Passes text on up to the end of the block or function, and holds back what could come after it."""

    def __init__(self, prompt: str, stop_at: Literal["block", "function"], language: Language) -> None:
        prompt = _end_of(prompt, language)
        self._lexer = Lexer(language)
        self._end = PythonEnd(stop_at) if language == "python" else BracketEnd(stop_at, language)
        self._begins_at = len(prompt)
        self._has_begun = False
        self._unbegun = ""  # text without a token yet, as inside a string that the prompt has begun
        self._held = ""
        self._shown_to = len(prompt)
        self._add(self._lexer.feed(prompt))

    def feed(self, text: str, *, final: bool = False) -> tuple[str, bool]:
        """Text that is safe to show, and whether it has ended."""
        self._held += text
        if not self._has_begun:
            self._unbegun += text
        self._add(self._lexer.feed(text, final=final))
        end = self._end
        if end.ended_at is not None:
            return self._show(end.ended_at), True
        return self._show(end.held_from if end.held_from is not None else self._shown_to + len(self._held)), False

    def finish(self) -> str:
        """The held-back text that is part of the structure. White space after its possible end is not: whether a model
        writes ``}`` or ``}`` with a line break before the end of a document would otherwise show."""
        shown, has_ended = self.feed("", final=True)
        if has_ended or self._end.holds_comment or not self._held.strip():
            return shown
        return shown + self._show(self._shown_to + len(self._held))

    def _add(self, tokens: list[Token]) -> None:
        for token in tokens:
            if self._end.ended_at is not None:
                return
            if not self._has_begun and token.start >= self._begins_at:
                self._has_begun = True
                before = self._unbegun[: token.start - self._begins_at]
                self._end.begin(has_written=bool(before.strip()))
            self._end.add(token)

    def _show(self, to: int) -> str:
        count = max(0, to - self._shown_to)
        shown, self._held = self._held[:count], self._held[count:]
        self._shown_to += len(shown)
        return shown


def end_finder(prompt: str, stop_at: StopAt, language: Language | None) -> LineEnd | StructureEnd | None:
    """What ends a text after ``prompt``; the language is guessed if it is not given."""
    if stop_at == "none":
        return None
    if stop_at == "line":
        return LineEnd()
    return StructureEnd(prompt, stop_at, language or guess_language(prompt))


def _end_of(prompt: str, language: Language) -> str:
    """The last lines of ``prompt``; if it is truncated, from a line that is certainly code."""
    if len(prompt) <= _CHARACTERS:
        return prompt
    end = prompt[-_CHARACTERS:]
    first_line = end.find("\n") + 1
    code = _CODE[language].search(end, first_line)
    return end[code.start() if code else first_line :]
