"""Ends a text with its line, its block or its function."""

from __future__ import annotations

import re
from typing import Literal

from santacoder.engine.ends.brackets import BracketEnd
from santacoder.engine.ends.indentation import PythonEnd
from santacoder.engine.ends.lexer import Lexer, Token
from santacoder.languages import Language, guess_language
from santacoder.sampling import StopAt

# of the prompt, at the most, is looked at; what encloses the code is seldom further away
_CHARACTERS = 8000
# a line that is code, and not the inside of a comment or of a string, wherever the prompt was cut
_CODE = {
    "python": re.compile(r"^[ \t]*(?:async def|def|class|@\w+|import|from)\b", re.MULTILINE),
    "java": re.compile(r"^[ \t]*(?:public|private|protected|static|class|import|@\w+)\b", re.MULTILINE),
    "javascript": re.compile(r"^[ \t]*(?:function|class|const|let|var|import|export|module)\b", re.MULTILINE),
}


class LineEnd:
    """Passes text on up to the end of the line, or of the first line that has anything in it."""

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
    """Passes text on up to the end of the block or of the function, and holds back what could be behind it."""

    def __init__(self, prompt: str, stop_at: Literal["block", "function"], language: Language) -> None:
        prompt = _end_of(prompt, language)
        self._lexer = Lexer(language)
        self._end = PythonEnd(stop_at) if language == "python" else BracketEnd(stop_at, language)
        self._begins_at = len(prompt)
        self._has_begun = False
        self._unbegun = ""  # text of which no token is known yet, as inside a string that the prompt has begun
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
        """What was held back, and belongs to it."""
        shown, has_ended = self.feed("", final=True)
        return shown if has_ended else shown + self._show(self._shown_to + len(self._held))

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
    """What ends a text behind ``prompt``; the language is guessed where it is not given."""
    if stop_at == "none":
        return None
    if stop_at == "line":
        return LineEnd()
    return StructureEnd(prompt, stop_at, language or guess_language(prompt))


def _end_of(prompt: str, language: Language) -> str:
    """The last lines of ``prompt``; where it is cut, from one that is surely code on."""
    if len(prompt) <= _CHARACTERS:
        return prompt
    end = prompt[-_CHARACTERS:]
    first_line = end.find("\n") + 1
    code = _CODE[language].search(end, first_line)
    return end[code.start() if code else first_line :]
