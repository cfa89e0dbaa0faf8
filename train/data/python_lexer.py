"""A lexer for comments, strings and docstrings of Python code, in linear time.

The standard library's tokenizer and parser take seconds for a dense megabyte. This one recognises only what decides
where a string or a comment ends, and what makes the standard library's fail: brackets, indentation and unclosed
strings.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from bisect import bisect_right
from dataclasses import dataclass, field

# no alternative can fail after its first characters, so no text is scanned twice; a backslash may be the last character
_TOKEN = re.compile(
    r'''(?P<comment>\#[^\n]*)
    |"""[^"\\]*(?:(?:\\(?:.|\Z)|"(?!""))[^"\\]*)*(?P<end2>"""|\Z)
    |\'\'\'[^'\\]*(?:(?:\\(?:.|\Z)|'(?!''))[^'\\]*)*(?P<end1>\'\'\'|\Z)
    |"[^"\\\n]*(?:\\.[^"\\\n]*)*"?
    |'[^'\\\n]*(?:\\.[^'\\\n]*)*'?
    |(?P<bracket>[()\[\]{}])
    |(?P<newline>\n[ \t\f]*)
    |(?P<continued>\\\n)''',
    re.VERBOSE | re.DOTALL,
)
_INDENTATION = re.compile(r"[ \t\f]*")
_DOCUMENTED = re.compile(r"(?:async[ \t]+)?def\b|class\b")
_DOCSTRING_PREFIX = re.compile(r"[rRuU]?(?=[\"'])")
_END_OF_STATEMENT = re.compile(r"[ \t\f]*(?:[;#\n]|\Z)")


@dataclass
class PythonTokens:
    """Spans of tokens, each as (start, end); ``docstrings`` are also in ``strings``."""

    comments: list[tuple[int, int]] = field(default_factory=list)
    strings: list[tuple[int, int]] = field(default_factory=list)
    docstrings: list[tuple[int, int]] = field(default_factory=list)

    def are_in_code(self, spans: list[tuple[int, int]]) -> list[bool]:
        """For each of ``spans``, whether it begins outside all strings and comments."""
        texts = sorted([*self.comments, *self.strings])
        starts = [start for start, _ in texts]
        before = (bisect_right(starts, start) - 1 for start, _ in spans)
        return [index < 0 or start >= texts[index][1] for index, (start, _) in zip(before, spans, strict=True)]


def scan(text: str) -> PythonTokens | None:
    """Tokenise ``text``. Returns None where :mod:`tokenize` would fail: a bracket or a multi-line string is not closed,
    a backslash continues the last line, or a line dedents to an indentation that does not exist.

    A docstring is a string that is a statement of its own, on the line after the head of a ``def`` or ``class`` or
    first in the file. Whether the rest is valid Python is not checked.
    """
    found = PythonTokens()
    indentations = [0]
    depth = 0
    first = _INDENTATION.match(text)
    start = first.end() if first else 0  # start of the logical line
    may_have_docstring = True
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if token.end() == len(text) and token[0].endswith("\\\n"):  # no line follows to continue this one
            return None
        if kind == "comment":
            found.comments.append(token.span())
        elif kind == "bracket":
            depth += 1 if token[0] in "([{" else -1
        elif kind == "newline":
            if depth:
                continue
            if not text.startswith(("\n", "#"), start):  # a line with a statement
                if not _reindent(indentations, text, start):
                    return None
                may_have_docstring = _opens_a_body(text, start, token.start(), found)
            start = token.end()
        elif kind != "continued":
            if kind and not token[kind]:
                return None
            if may_have_docstring and not depth and _is_docstring(text, start, token):
                found.docstrings.append((start, token.end()))
            found.strings.append(token.span())
    # what follows a backslash may be a comment, which needs no indentation
    ends_in_statement = start < len(text) and text[start] not in "#\\"
    if depth or (ends_in_statement and not _reindent(indentations, text, start)):
        return None
    return found


def docstring_length(text: str, start: int, end: int) -> int:
    """The number of characters of the docstring ``text[start:end]`` as :func:`ast.get_docstring` cleans it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about escapes in the file
            return len(inspect.cleandoc(ast.literal_eval(text[start:end])))
    except (SyntaxError, ValueError, MemoryError):
        return 0


def _reindent(indentations: list[int], text: str, start: int) -> bool:
    """Apply the indentation of the line whose code begins at ``start``; False if it matches no enclosing level."""
    column = 0
    for character in text[text.rfind("\n", 0, start) + 1 : start]:
        column = {" ": column + 1, "\t": column // 8 * 8 + 8}.get(character, 0)
    while column < indentations[-1]:
        indentations.pop()
        if column > indentations[-1]:
            return False
    if column > indentations[-1]:
        indentations.append(column)
    return True


def _opens_a_body(text: str, start: int, end: int, found: PythonTokens) -> bool:
    """Whether the logical line from ``start`` to ``end`` is the head of a function or class with a body on the next
    lines.
    """
    if not _DOCUMENTED.match(text, start, end):
        return False
    if found.comments and found.comments[-1][1] == end:
        end = found.comments[-1][0]
    return text[start:end].rstrip().endswith(":")


def _is_docstring(text: str, start: int, token: re.Match[str]) -> bool:
    prefix = _DOCSTRING_PREFIX.match(text, start)
    return bool(prefix and prefix.end() == token.start() and _END_OF_STATEMENT.match(text, token.end()))
