"""Where a block or a function of Python ends: at the first line that is indented less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from santacoder.engine.ends.lexer import Token

_TAB = 8
_OPENERS = frozenset("def class if elif else for while with try except finally match case".split())
_SOFT = frozenset(["match", "case"])  # keywords only where a colon ends the line
_CLAUSES = frozenset("elif else except finally".split())
# a line that begins with one of these is never inside brackets: they were left open by mistake
_NEVER_IN_BRACKETS = frozenset("def class return import raise while try with".split())
_NOWHERE = -1


@dataclass
class _Line:
    """The first line of a statement, at ``indent`` columns. ``opens`` means that it opens a block, or still may."""

    indent: int
    word: str
    opens: bool

    @property
    def is_function(self) -> bool:
        return self.word == "def"


class PythonEnd:
    """Receives the tokens of the prompt, then those of the text. ``held_from`` is where the text would end if the next
    line were outside; ``ended_at`` is where it has ended. Both count from the beginning of the prompt.
    """

    def __init__(self, stop_at: Literal["block", "function"]) -> None:
        self._stop_at = stop_at
        self.held_from: int | None = None
        self.ended_at: int | None = None
        self._lines: list[_Line] = []  # the enclosing lines, then the current one
        self._depth = 0  # of brackets
        self._is_at_start = True  # of a line
        self._indent = 0
        self._last = ""
        self._has_written = False
        # set when the text begins: lines at this indentation or less end it, except clauses of the same statement
        self._limit: int | None = None
        self._clauses_belong = False
        self._waits_for_function = False
        self.holds_comment = False

    def begin(self, *, has_written: bool) -> None:
        """The text begins with the next token; with ``has_written``, part of the last token was already the text's."""
        self._has_written = has_written
        (self._aim_at_block if self._stop_at == "block" else self._aim_at_function)()

    def add(self, token: Token) -> None:
        if token.kind == "newline":
            self._break_line(token)
        elif token.kind == "indent":
            if self._is_at_start:
                self._indent = _column(self._indent, token.text)
        elif token.kind == "comment":
            self._add_comment()
        else:
            self.holds_comment = False
            if self._is_at_start and (not self._depth or token.text in _NEVER_IN_BRACKETS):
                self._depth = 0
                self._begin_line(token)
            elif self._last == "async" and self._lines and self._lines[-1].word == "async":
                self._lines[-1].word = token.text
                self._lines[-1].opens = token.text in _OPENERS
            if self.ended_at is None:
                self._go_on(token)

    def _add_comment(self) -> None:
        """Comments have no indentation of their own: one that is indented less than the block is held until the next
        line of code tells whether the block has ended."""
        is_left = self._is_at_start and self._limit is not None and self._indent <= self._limit
        if is_left and not self._depth:
            self.holds_comment = self.held_from is not None
            return
        self._is_at_start = False
        self.held_from = None
        if self._limit is not None:
            self._has_written = True

    def _break_line(self, token: Token) -> None:
        if self._lines and not self._depth and not self._is_at_start:
            line = self._lines[-1]
            line.opens = self._last == ":" if line.opens else False
        if self._has_written and self.held_from is None:
            self.held_from = token.start
        self._is_at_start = True
        self._indent = 0

    def _go_on(self, token: Token) -> None:
        self._is_at_start = False
        self.held_from = None
        self._last = token.text
        if self._limit is not None:
            self._has_written = True
        if token.kind == "mark" and token.text in "([{":
            self._depth += 1
        elif token.kind == "mark" and token.text in ")]}":
            self._depth = max(0, self._depth - 1)

    def _begin_line(self, token: Token) -> None:
        if self._limit is not None and self._is_outside(token):
            if self._has_written:
                self.ended_at = self.held_from
                return
            self._aim_from(self._indent)  # the beginning of the text never ends it
        while self._lines and self._lines[-1].indent >= self._indent:
            self._lines.pop()
        self._lines.append(_Line(self._indent, token.text, token.text in _OPENERS))
        if self._waits_for_function and token.text in ("def", "async"):
            self._waits_for_function = False
            self._limit, self._clauses_belong = self._indent, False

    def _is_outside(self, token: Token) -> bool:
        assert self._limit is not None
        is_clause = self._clauses_belong and self._indent == self._limit and token.text in _CLAUSES
        is_decorated = bool(self._lines) and self._lines[-1].word == "@" and self._lines[-1].indent == self._indent
        return self._indent <= self._limit and not (is_clause or is_decorated)

    def _aim_from(self, indent: int) -> None:
        """The text begins outside the block that the prompt was in, at ``indent``."""
        if self._stop_at == "block":
            self._limit, self._clauses_belong = indent, True
        else:
            self._limit, self._waits_for_function = indent - 1, True

    def _aim_at_block(self) -> None:
        begun, indent = self._place()
        if begun is not None:
            self._limit, self._clauses_belong = begun.indent, True
        elif indent:
            self._limit = indent - 1
        else:
            self._limit, self._clauses_belong = 0, True

    def _aim_at_function(self) -> None:
        begun, indent = self._place()
        around = [line for line in self._lines if line.opens and (line is begun or line.indent < indent)]
        function = next((line for line in reversed(around) if line.is_function), None)
        in_class = max((index for index, line in enumerate(around) if line.word == "class"), default=-1)
        outermost = self._lines[0].indent if self._lines else indent
        if function is not None:
            self._limit = function.indent
        elif outermost:  # in a function whose head is not in the prompt
            self._limit = outermost - 1
        elif in_class + 1 < len(around):  # for example in a loop outside any function
            self._limit, self._clauses_belong = around[in_class + 1].indent, True
        else:
            self._limit, self._waits_for_function = indent - 1 if around else _NOWHERE, True

    def _place(self) -> tuple[_Line | None, int]:
        """The statement whose block the prompt has begun, if any, and the indentation at the end of the prompt."""
        last = self._lines[-1] if self._lines else None
        if last is None:
            return None, self._indent
        is_at_start = self._is_at_start and not self._depth  # of a line inside brackets, it has no meaning
        is_begun = last.opens and (self._last == ":" or not (is_at_start or last.word in _SOFT))
        if is_begun:
            return last, last.indent
        if is_at_start and self._indent:
            while self._lines and self._lines[-1].indent >= self._indent:
                self._lines.pop()
            return None, self._indent
        return None, last.indent


def _column(column: int, space: str) -> int:
    for character in space:
        column = (column // _TAB + 1) * _TAB if character == "\t" else column + 1
    return column
