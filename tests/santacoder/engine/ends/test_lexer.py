"""Tokens of code fed in pieces, compared with those of the whole text and of other lexers."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pygments.lexers import JavaLexer, JavascriptLexer
from pygments.token import Comment, String

from santacoder.engine.ends.lexer import Lexer, Token
from santacoder.languages import LANGUAGES, Language
from tests.conftest import REPOSITORY
from tests.santacoder.engine.ends.pieces import split

PIECES = [
    "'",
    '"',
    '"""',
    "\\",
    "\n",
    "#",
    "//",
    "/*",
    "*/",
    "`",
    "${",
    "}",
    "{",
    "(",
    ")",
    "/",
    " ",
    "a1",
    "return",
    "=",
    "/[",
    "[^/{",
    "]",
    "$",
    "'''",
    "a" * 63,
]


def tokens(text: str, language: Language, *sizes: int) -> list[Token]:
    lexer = Lexer(language)
    found = [token for piece in split(text, sizes or (len(text),)) for token in lexer.feed(piece)]
    return found + lexer.feed("", final=True)


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=30),
    sizes=st.lists(st.integers(1, 5), min_size=1),
    language=st.sampled_from(LANGUAGES),
)
@example(["/", "[^/{", "]", "/", "a1"], [3, 2], "javascript")
def test_pieces_of_any_size_have_the_tokens_of_the_whole(
    pieces: list[str], sizes: list[int], language: Language
) -> None:
    text = "".join(pieces)
    whole = tokens(text, language)
    assert without_indents(tokens(text, language, *sizes)) == without_indents(whole)
    assert all(text[token.start : token.end] == token.text for token in whole)


def without_indents(found: list[Token]) -> list[Token]:
    """White space may come in several tokens."""
    return [token for token in found if token.kind != "indent"]


def test_brackets_of_python_are_those_that_python_sees() -> None:
    for path in sorted((REPOSITORY / "santacoder").rglob("*.py")):
        text = path.read_text()
        lines = [0]
        for line in text.splitlines(keepends=True):
            lines.append(lines[-1] + len(line))
        reference = [
            (token.string, lines[token.start[0] - 1] + token.start[1])
            for token in outside_strings(tokenize.generate_tokens(io.StringIO(text).readline))
            if token.type == tokenize.OP and token.string in "()[]{}"
        ]
        assert [(t.text, t.start) for t in tokens(text, "python") if t.text in tuple("()[]{}")] == reference


def outside_strings(found: Iterable[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """From Python 3.12 on, the parts of an f-string are tokens, too."""
    depth = 0
    for token in found:
        name = tokenize.tok_name[token.type]
        depth += (name == "FSTRING_START") - (name == "FSTRING_END")
        if not depth:
            yield token


@pytest.mark.parametrize("language,pattern", [("java", "train/**/*.java"), ("javascript", "app/ui/scripts/*.js")])
def test_brackets_are_those_that_pygments_sees(language: Language, pattern: str) -> None:
    paths = sorted(REPOSITORY.glob(pattern))
    assert paths
    for path in paths:
        text = path.read_text()
        lexer = JavaLexer() if language == "java" else JavascriptLexer()
        reference = [
            (character, at + index)
            for at, kind, value in lexer.get_tokens_unprocessed(text)
            if kind not in Comment and (kind not in String or value in ("${", "}"))
            for index, character in enumerate(value)
            if character in "()[]{}" and not value.startswith("${")
        ]
        found = [(token.text, token.start) for token in tokens(text, language) if token.text in tuple("()[]{}")]
        # pygments has the brace that ends ${…}, too
        assert set(found) <= set(reference)
        assert len(reference) - len(found) == text.count("${")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("piece", ["'", '"', '"""', "`", "`${", "/*", "*", "/", "\\", "a", "(", "\n", " ", "/[a"])
def test_however_long_the_text_little_of_it_is_looked_at_again(language: Language, piece: str) -> None:
    lexer = Lexer(language)
    for character in piece * 1000:
        lexer.feed(character)
        assert len(lexer._rest) <= 64
