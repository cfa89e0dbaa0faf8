"""An incremental lexer: source code as tokens while it is being generated, as far as they are certain.

It accepts fragments, in pieces of any size, and takes time linear in their length. A string or comment is one token at
its beginning, and has no tokens inside. An unclosed string ends with its line.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from santacoder.languages import Language

Kind = Literal["word", "mark", "string", "comment", "newline", "indent"]

_SPACE = re.compile(r"[^\S\n]+")
_WORD = re.compile(r"[\w$]+")
# for each closing delimiter, what ends the string or comment or must be skipped inside it
_CLOSING = {
    '"': re.compile(r'\\[\s\S]?|"|\n'),
    "'": re.compile(r"\\[\s\S]?|'|\n"),
    '"""': re.compile(r'\\[\s\S]?|"""'),
    "'''": re.compile(r"\\[\s\S]?|'''"),
    "`": re.compile(r"\\[\s\S]?|`|\$\{"),
    "/": re.compile(r"\\[\s\S]?|\[|/|\n"),
    "]": re.compile(r"\\[\s\S]?|\]|\n"),
    "*/": re.compile(r"\*/"),
    "\n": re.compile(r"\n"),
    "word": re.compile(r"[^\w$]"),
}
# a slash closes nothing inside a character class of a regular expression
_CLOSED_BY_AFTER = {"[": "]", "]": "/"}
# longer words, as in data, are truncated
_LONGEST_WORD = 64
_TRIPLED: dict[Language, str] = {"python": "\"'", "java": '"', "javascript": ""}
# words after which a slash begins a regular expression, as it does after most punctuation
_BEFORE_REGEX = frozenset("return typeof case in of do else void delete throw new await yield".split())


class Token(NamedTuple):
    """``start`` counts characters from the beginning of everything that was fed. White space is a token (``indent``)
    only at the beginning of a line."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class Lexer:
    """Tokens of ``language``, piece by piece."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._rest = ""
        self._position = 0  # of the rest
        self._closed_by: str | None = None  # inside a string or a comment
        self._braces: list[int] = []  # open braces inside each open ${ of template literals
        self._last: Token | None = None

    def feed(self, text: str, *, final: bool = False) -> list[Token]:
        """The tokens that ``text`` completes; with ``final``, also one that more text could have made longer."""
        text = self._rest + text
        tokens: list[Token] = []
        at = 0
        while at < len(text):
            inside = self._closed_by
            step = self._within(text, at, final) if inside else self._code(text, at, final, tokens)
            if step == at and self._closed_by == inside:
                break
            at = step
        self._rest = text[at:]
        self._position += at
        return tokens

    def _code(self, text: str, at: int, final: bool, tokens: list[Token]) -> int:
        """Add the token at ``at``; where the next begins, or ``at`` where that cannot be told yet."""
        character = text[at]
        if character == "\n":
            return self._add("newline", "\n", at, tokens)
        if space := _SPACE.match(text, at):
            is_first = self._last is None or self._last.kind in ("newline", "indent")
            return self._add("indent", space[0], at, tokens) if is_first else space.end()
        if word := _WORD.match(text, at):
            if len(word[0]) >= _LONGEST_WORD:
                self._closed_by = "word"
                return self._add("word", word[0][:_LONGEST_WORD], at, tokens)
            is_open = word.end() == len(text) and not final
            return at if is_open else self._add("word", word[0], at, tokens)
        if character in "\"'`" and (character != "`" or self._language == "javascript"):
            return self._opened(character, text, at, final, tokens)
        if self._language == "python":
            if character == "#":
                return self._open("comment", "\n", "#", at, tokens)
            if character == "\\":  # joins lines
                return at if at + 1 == len(text) and not final else at + (2 if text[at + 1 : at + 2] == "\n" else 1)
        elif character == "/":
            return self._slash(text, at, final, tokens)
        if self._braces and character in "{}":
            if character == "}" and not self._braces[-1]:
                self._braces.pop()
                self._closed_by = "`"
                return at + 1
            self._braces[-1] += 1 if character == "{" else -1
        return self._add("mark", character, at, tokens)

    def _opened(self, quote: str, text: str, at: int, final: bool, tokens: list[Token]) -> int:
        if quote in _TRIPLED[self._language]:
            if text.startswith(3 * quote, at):
                return self._open("string", 3 * quote, 3 * quote, at, tokens)
            if text[at:] in (quote, 2 * quote) and not final:
                return at
        return self._open("string", quote, quote, at, tokens)

    def _slash(self, text: str, at: int, final: bool, tokens: list[Token]) -> int:
        following = text[at + 1 : at + 2]
        if not following and not final:
            return at
        if following == "/":
            return self._open("comment", "\n", "//", at, tokens)
        if following == "*":
            return self._open("comment", "*/", "/*", at, tokens)
        if self._language == "javascript" and self._regex_may_begin():
            return self._open("string", "/", "/", at, tokens)
        return self._add("mark", "/", at, tokens)

    def _regex_may_begin(self) -> bool:
        last = self._last
        if last is None or last.kind in ("newline", "indent", "comment"):
            return True
        if last.kind == "word":
            return last.text in _BEFORE_REGEX
        return last.kind == "mark" and last.text not in ")]}"

    def _within(self, text: str, at: int, final: bool) -> int:
        """Where the string or comment at ``at`` goes on or has ended; ``at`` where that cannot be told yet."""
        assert self._closed_by is not None
        found = _CLOSING[self._closed_by].search(text, at)
        if found is None:
            # the beginning of what closes it may have come already
            first = {"*/": "*", "`": "$", '"""': '"', "'''": "'"}.get(self._closed_by)
            n_begun = 0
            if first and not final:
                n_begun = next((n for n in (2, 1) if text.endswith(n * first, at)), 0)
            return len(text) - n_begun
        if self._closed_by == "word":
            self._closed_by = None
            return found.start()
        if found[0][0] == "\\":
            return found.start() if found[0] == "\\" and not final else found.end()
        if found[0] == "${":
            self._braces.append(0)
        self._closed_by = _CLOSED_BY_AFTER.get(found[0])
        return found.start() if found[0] == "\n" else found.end()

    def _open(self, kind: Kind, closed_by: str, text: str, at: int, tokens: list[Token]) -> int:
        self._closed_by = closed_by
        return self._add(kind, text, at, tokens)

    def _add(self, kind: Kind, text: str, at: int, tokens: list[Token]) -> int:
        self._last = Token(kind, text, self._position + at)
        tokens.append(self._last)
        return at + len(text)
