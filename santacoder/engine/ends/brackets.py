"""Where a block, statement or function of Java or JavaScript ends: at its closing brace, or at a semicolon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from santacoder.engine.ends.lexer import Token
from santacoder.languages import Language

_CLOSES = {")": "(", "]": "[", "}": "{"}
_CONTROLS = frozenset("if for while switch catch with synchronized try await".split())
_CLASSES = frozenset("class interface enum record".split())
_CLAUSES = frozenset("else catch finally".split())
_BEFORE_CLAUSES = frozenset("if else try catch do".split())
_BEFORE_STATEMENTS = frozenset("else do".split())
_INFIX = frozenset("in instanceof of".split())
_MODIFIERS = frozenset("public private protected static abstract final synchronized async export default @".split())
_STARTERS = _MODIFIERS | _CLASSES | frozenset("if for while switch try do else function".split())
# before a brace, these say that it is a literal or a pattern, as in ``x = {`` and ``import {``
_BEFORE_LITERALS = frozenset("= ( [ , : ? & | + return import export const let var default yield await".split())
_SEARCHED = 100  # open brackets around the text, of which one may begin its function
_GROUP = "{}"  # stands for a pair of braces and everything inside


@dataclass
class _Open:
    """An open bracket, after the first ``n_before`` tokens of a statement that may go on."""

    bracket: str
    statement: list[str]
    n_before: int
    kind: Literal["function", "class", "block", "literal", ""] = ""

    @property
    def before(self) -> list[str]:
        return self.statement[: self.n_before]


class BracketEnd:
    """Receives the tokens of the prompt, then those of the text. ``held_from`` is where the text would end if nothing
    that follows were part of it; ``ended_at`` is where it has ended. Both count from the beginning of the prompt.
    """

    def __init__(self, stop_at: Literal["block", "function"], language: Language) -> None:
        self._stop_at = stop_at
        self._language = language
        self.held_from: int | None = None
        self.ended_at: int | None = None
        self._open: list[_Open] = []
        self._statement: list[str] = []  # its tokens so far
        self._last: Token | None = None
        # set when the text begins: it ends with the brackets or the statement at this depth
        self._depth: int | None = None
        self._is_statement = False
        self._is_headed = False  # a statement with its own braces
        self._waits_for_function = False
        self._is_closed = False
        self._closed_head = ""  # the first word of what is closed
        self._closed_depth = 0  # number of brackets around it
        self.holds_comment = False
        self._is_on_new_line = False
        self._has_written = False

    def begin(self, *, has_written: bool) -> None:
        """The text begins with the next token; with ``has_written``, part of the last token was already the text's."""
        self._has_written = has_written
        (self._aim_at_block if self._stop_at == "block" else self._aim_at_function)()

    def add(self, token: Token) -> None:
        if token.kind == "indent":
            return
        if token.kind == "newline":
            self._break_line(token)
            return
        self.holds_comment = self._is_closed and token.kind == "comment" and self._closed_head in _BEFORE_CLAUSES
        if self.holds_comment:
            return  # what follows it tells whether the statement continues
        if self._is_closed and not self._goes_on(token):
            self.ended_at = self.held_from
            return
        if self._is_on_new_line and self.held_from is not None and not self._is_closed:
            is_continued = token.text in _INFIX or (self._is_headed and token.text in _CLAUSES)
            if token.kind in ("word", "string") and not is_continued:  # a semicolon was left out
                self.ended_at = self.held_from
                return
            self.held_from = None
        self._is_on_new_line = False
        if token.kind == "comment":
            return
        if self._waits_for_function and token.text != "{" and self._ends_in_arrow():
            self._waits_for_function = False
            self._aim_at_statement(is_headed=False)
        self._take(token)
        if self._depth is not None:
            self._has_written = True
        self._last = token

    def _break_line(self, token: Token) -> None:
        self._is_on_new_line = True
        if self._is_closed or self.held_from is not None or not self._has_written:
            return
        if self._is_statement and self._language == "javascript" and self._is_complete():
            self.held_from = token.start

    def _is_complete(self) -> bool:
        """Whether the statement could end here without a semicolon."""
        last = self._last
        if last is None or len(self._open) != self._depth or last.text in _BEFORE_STATEMENTS:
            return False
        if last.text == ")" and last.kind == "mark":
            begins = _matching(self._statement)
            return begins == 0 or self._statement[begins - 1] not in _CONTROLS
        return last.kind != "mark" or last.text in "]}" or self._statement[-2:] in (["+", "+"], ["-", "-"])

    def _goes_on(self, token: Token) -> bool:
        """Whether the statement continues after the brackets that were closed."""
        is_clause = token.text in _CLAUSES or (token.text == "while" and self._closed_head == "do")
        if is_clause and token.kind == "word":
            self._is_closed, self.held_from = False, None
            self._is_statement, self._is_headed = True, True
            return True
        if self._is_on_new_line:
            return self._is_in_parentheses() and self._last is not None and self._last.text == ","
        if self._is_in_parentheses():  # other arguments follow, as in ``useEffect(() => { … }, [a])``
            if token.kind == "mark" and token.text in ")]" and len(self._open) <= self._closed_depth:
                self._closed_depth = len(self._open) - 1
                self.held_from = token.end
            return True
        if token.kind == "mark" and token.text == ";":
            self.ended_at = token.end
            return True
        if token.kind == "mark" and token.text in "(." and self._language == "javascript":  # it is called at once
            self._is_closed, self.held_from = False, None
            self._depth, self._is_statement = len(self._open), True
            return True
        return False

    def _take(self, token: Token) -> None:
        text = token.text if token.kind != "string" else '"'
        if token.kind != "mark" or text not in "([{)]};":
            self._statement.append(text)
        elif text in "([":
            # not copied: nested brackets would take memory in the square of their number
            self._open.append(_Open(text, self._statement, len(self._statement)))
            self._statement.append(text)
        elif text == "{":
            self._open_brace()
        elif text == "}":
            self._close_brace(token)
        elif text == ";":
            self._end_statement(token)
        elif self._open and self._open[-1].bracket == _CLOSES[text]:
            self._open.pop()
            self._statement.append(text)

    def _open_brace(self) -> None:
        kind = _kind_of_brace(self._statement, self._language)
        if self._waits_for_function and kind == "function":
            self._waits_for_function = False
            self._depth, self._is_statement = len(self._open), False
        self._open.append(_Open("{", self._statement, len(self._statement), kind))
        self._statement = []

    def _close_brace(self, token: Token) -> None:
        index = next((index for index in reversed(range(len(self._open))) if self._open[index].bracket == "{"), None)
        if index is None:  # closes a block that was opened before the prompt
            self._statement = []
            if self._depth is not None:
                self._close(token, [])
            return
        before = self._open[index].before
        is_literal = self._open[index].kind == "literal"
        is_argument = index > 0 and self._open[index - 1].bracket != "{"
        del self._open[index:]
        self._statement = [*before, _GROUP] if is_literal or is_argument else []
        if self._depth is None or (is_literal and self._is_statement and index >= self._depth):
            return
        if self._is_statement and index < self._depth:  # closes a block around the statement
            self.ended_at = token.start
        elif index <= self._depth:
            self._close(token, before)

    def _end_statement(self, token: Token) -> None:
        if self._open and self._open[-1].bracket != "{":  # as in the head of a loop
            self._statement.append(";")
            return
        before, self._statement = self._statement, []
        if self._waits_for_function and self._language == "java" and self._is_in_class() and _is_abstract(before):
            self._waits_for_function = False
            self._close(token, before)
        if self._is_statement and self._depth is not None and len(self._open) == self._depth:
            self._close(token, before)

    def _close(self, token: Token, before: list[str]) -> None:
        self._closed_head = before[0] if before else ""
        self._is_closed = True
        self._closed_depth = len(self._open)
        self._is_on_new_line = False
        self.held_from = token.end

    def _innermost_brace(self, inside: int | None = None) -> int | None:
        """The index of the innermost open brace that is no literal, or of the innermost one around the bracket
        ``inside``."""
        for index in reversed(range(len(self._open) if inside is None else inside)):
            if self._open[index].bracket == "{" and self._open[index].kind != "literal":
                return index
        return None

    def _is_in_literal(self) -> bool:
        """Whether a literal or pattern of the current statement is open."""
        brace = self._innermost_brace()
        return any(each.kind == "literal" for each in self._open[0 if brace is None else brace + 1 :])

    def _innermost_parameters(self) -> int | None:
        """The index of the innermost open parenthesis that begins the parameters of a function, as around
        ``function f({ a, `` in JavaScript."""
        for index in reversed(range(max(0, len(self._open) - _SEARCHED), len(self._open))):
            if self._open[index].bracket == "(" and self._begins_function(self._open[index].before, index):
                return index
        return None

    def _is_in_parentheses(self) -> bool:
        """Whether the innermost open bracket is round or square."""
        return bool(self._open) and self._open[-1].bracket != "{"

    def _is_in_class(self) -> bool:
        return bool(self._open) and self._open[-1].kind == "class"

    def _ends_in_arrow(self) -> bool:
        """Whether an arrow function of JavaScript begins that is not an argument."""
        is_javascript = self._language == "javascript"
        return is_javascript and self._statement[-2:] == ["=", ">"] and not self._is_in_parentheses()

    def _aim_at_block(self) -> None:
        brace = self._innermost_brace()
        if self._head() and self._head()[0] in _STARTERS:
            self._aim_at_statement(is_headed=True)
        elif brace is None or self._is_in_literal():
            self._aim_at_statement(is_headed=False)
        else:
            self._depth = brace

    def _aim_at_function(self) -> None:
        functions = [index for index, each in enumerate(self._open) if each.kind == "function"]
        classes = [index for index, each in enumerate(self._open) if each.kind == "class"]
        if self._has_begun_function():
            self._aim_at_statement(is_headed=True)
        elif (begun := self._innermost_parameters()) is not None and begun > max([-1, *functions, *classes]):
            self._aim_at_statement(is_headed=True, around=begun)
        elif functions and (not classes or functions[-1] > classes[-1]):
            self._depth = functions[-1]
        else:
            blocks = [index for index, each in enumerate(self._open) if each.kind == "block"]
            inside = [index for index in blocks if not classes or index > classes[-1]]
            if inside:
                self._depth = inside[0]
            elif self._is_in_literal():
                self._aim_at_statement(is_headed=False)
            else:
                self._depth = classes[-1] if classes else -1
                self._waits_for_function = True

    def _aim_at_statement(self, *, is_headed: bool, around: int | None = None) -> None:
        """End with the statement in which the text begins, or in which the bracket ``around`` was opened."""
        brace = self._innermost_brace(around)
        self._depth = 0 if brace is None else brace + 1
        self._is_statement, self._is_headed = True, is_headed

    def _head(self) -> list[str]:
        """The statement in which the prompt ends, from its beginning."""
        brace = self._innermost_brace()
        inner = self._open[brace + 1 :] if brace is not None else self._open
        return inner[0].before if inner and not self._statement else self._statement

    def _has_begun_function(self) -> bool:
        head = self._statement
        if head[-2:] in (["=", ">"], ["-", ">"]) or (self._language == "javascript" and _has_arrow(head)):
            return True
        return ("(" in head or "function" in head) and self._begins_function(head, len(self._open))

    def _begins_function(self, head: list[str], depth: int) -> bool:
        """Whether ``head``, which is inside ``depth`` open brackets, begins a function."""
        if "function" in head and _GROUP not in head[head.index("function") :]:
            return True
        if not head or "=" in head or head[0] in _CONTROLS:
            return False
        brace = self._innermost_brace(depth)
        return head[0] in _MODIFIERS if brace is None else self._open[brace].kind == "class"


def _has_arrow(statement: list[str]) -> bool:
    """Whether an arrow function has begun whose body is an expression."""
    arrows = [index for index in range(1, len(statement)) if statement[index - 1 : index + 1] == ["=", ">"]]
    return bool(arrows) and _GROUP not in statement[arrows[-1] :]


def _kind_of_brace(statement: list[str], language: Language) -> Literal["function", "class", "block", "literal"]:
    """What a brace opens after ``statement``."""
    if not statement:
        return "block"
    if statement[-2:] in (["=", ">"], ["-", ">"]):
        return "block" if statement[0] in ("case", "default") else "function"
    is_case = statement[-1] == ":" and statement[0] in ("case", "default")
    if language == "javascript" and statement[-1] in _BEFORE_LITERALS and not is_case:
        return "literal"
    statement = _without_throws(statement)
    if statement and statement[-1] == ")":
        begins = _matching(statement)
        name = statement[begins - 1] if begins > 0 else ""
        if "record" in statement[: max(0, begins - 1)]:
            return "class"
        if language == "java" and _is_made_new(statement[:begins]):
            return "class"
        return "block" if name in _CONTROLS else "function"
    return "class" if _CLASSES.intersection(statement) else "block"


def _without_throws(statement: list[str]) -> list[str]:
    if "throws" not in statement:
        return statement
    return statement[: len(statement) - 1 - statement[::-1].index("throws")]


def _is_abstract(statement: list[str]) -> bool:
    """Whether the statement declares a method without a body, as in an interface: ``int f(int a)``."""
    statement = _without_throws(statement)
    if not statement or statement[-1] != ")" or "=" in statement:
        return False
    begins = _matching(statement)
    return begins >= 2 and statement[begins - 2] not in (",", ".", "@")


def _matching(statement: list[str]) -> int:
    """The index of the bracket that the last token of ``statement`` closes."""
    depth = 0
    for index in range(len(statement) - 1, -1, -1):
        depth += (statement[index] == ")") - (statement[index] == "(")
        if depth == 0:
            return index
    return 0


def _is_made_new(before: list[str]) -> bool:
    """Whether an anonymous class begins, as in ``new Comparator<String>() {``."""
    for word in reversed(before):
        if word == "new":
            return True
        if word in ("(", ",", "=", "return", ";", _GROUP):
            return False
    return False
