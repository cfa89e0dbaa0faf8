"""A lexer for comments of Java and JavaScript, in linear time.

The reference counts comments with Pygments' lexers. They take hours for some files of a megabyte, where a pattern fails
after reading far ahead and fails again from the next character on. No pattern here can fail after its first characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TEXT = r'"[^"\\\n]*(?:\\(?:.|\n)[^"\\\n]*)*"?'
_CHARACTER = r"'[^'\\\n]*(?:\\(?:.|\n)[^'\\\n]*)*'?"
_JAVA = re.compile(rf'//[^\n]*|/\*|"""[^"\\]*(?:(?:\\(?:.|\n)|"(?!""))[^"\\]*)*(?:""")?|{_TEXT}|{_CHARACTER}')
_JAVASCRIPT = re.compile(rf"//[^\n]*|/\*|/|{_TEXT}|{_CHARACTER}|`|[{{}}]")
# after the opening / of a regular expression; slashes inside brackets belong to it
_REGULAR_EXPRESSION = re.compile(r"/[^/\\\[\n]*(?:(?:\\.|\[[^\]\\\n]*(?:\\.[^\]\\\n]*)*\]?)[^/\\\[\n]*)*/?\w*")
_TEMPLATE = re.compile(r"[^`\\$]*(?:(?:\\(?:.|\n)|\$(?!\{))[^`\\$]*)*(?:`|\$\{)?")
_BEFORE_A_REGULAR_EXPRESSION = frozenset("([{,;:=!&|?+-*%~^<>")
_KEYWORDS = frozenset("return typeof case do else in instanceof new void delete throw yield await of".split())
_LAST_WORD = re.compile(r"[\w$]+\Z")


def comment_length(text: str, language: str) -> int:
    """The number of characters in comments, including delimiters but not the newline."""
    comments = java_comments(text) if language == "java" else javascript_comments(text)
    return sum(end - start for start, end in comments)


def java_comments(text: str) -> list[tuple[int, int]]:
    """The spans of comments. An unclosed ``/*`` does not begin a comment."""
    return _comments(text, _JAVA, lambda found, between: found.end())


def javascript_comments(text: str) -> list[tuple[int, int]]:
    """The spans of comments; ``${`` … ``}`` inside templates is code."""
    return _comments(text, _JAVASCRIPT, _JavaScript(text).end)


def _comments(text: str, token: re.Pattern[str], end: Callable[[re.Match[str], str], int]) -> list[tuple[int, int]]:
    """Find comments between other tokens. ``end`` returns where another token ends, given the code between it and the
    previous token, including that token's last character.
    """
    comments: list[tuple[int, int]] = []
    last_close = text.rfind("*/")
    between: list[str] = []
    position = 0
    while found := token.search(text, position):
        between.append(text[position : found.start()])
        if found[0] == "/*" and found.end() <= last_close:
            position = text.index("*/", found.end()) + 2
            comments.append((found.start(), position))
        elif found[0].startswith("//"):
            position = found.end()
            comments.append(found.span())
        else:
            position = end(found, "".join(between).rstrip())
            between = [text[position - 1]]
    return comments


class _JavaScript:
    """The lexer's state: the enclosing templates, with which ``/`` is classified as division or regular expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._braces: list[int] = []  # number of open braces inside each ``${``

    def end(self, found: re.Match[str], between: str) -> int:
        sign = found[0]
        if sign == "`":
            return self._end_of_template(found.end())
        if sign == "{" and self._braces:
            self._braces[-1] += 1
        elif sign == "}" and self._braces:
            self._braces[-1] -= 1
            if self._braces[-1] < 0:
                self._braces.pop()
                return self._end_of_template(found.end())
        elif sign == "/" and self._begins_regular_expression(between, found.start()):
            expression = _REGULAR_EXPRESSION.match(self._text, found.start())
            return expression.end() if expression else found.end()
        return found.end()

    def _end_of_template(self, position: int) -> int:
        part = _TEMPLATE.match(self._text, position)
        assert part is not None  # it matches the empty text
        if part[0].endswith("${"):
            self._braces.append(0)
        return part.end()

    def _begins_regular_expression(self, before: str, start: int) -> bool:
        """Decide by the code before: a sign before an operand, a keyword, or nothing."""
        word = _LAST_WORD.search(before[-12:])
        if word or not before:
            return not word or word[0] in _KEYWORDS
        return before[-1] in _BEFORE_A_REGULAR_EXPRESSION and not self._text.startswith("</", start - 1)
