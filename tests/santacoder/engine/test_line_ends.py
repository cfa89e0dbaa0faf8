"""LF internally and CRLF externally, however a text is divided into pieces and wherever its line endings are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.accumulator import Accumulator
from santacoder.engine.events import Finished, TokenEvent
from santacoder.engine.line_ends import CrlfWriter, is_uniform, to_lf, uses_crlf
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

TEXTS = st.text("a\r\né", max_size=12)


@given(st.lists(TEXTS))
def test_pieces_become_what_the_whole_becomes(pieces: list[str]) -> None:
    writer = CrlfWriter()
    written = "".join(map(writer.feed, pieces))
    assert written == re.sub(r"(?<!\r)\n", "\r\n", "".join(pieces))


@given(TEXTS, TEXTS)
def test_looking_ahead_changes_nothing(before: str, ahead: str) -> None:
    writer = CrlfWriter()
    writer.feed(before)
    seen = writer.peek(ahead)
    assert seen == writer.peek(ahead) == writer.feed(ahead)


@pytest.mark.parametrize(
    "prefix,suffix,crlf",
    [
        ("a\r\nb", "", True),
        ("a\r\nb\nc", "", False),  # the nearest counts
        ("a\nb\r\nc", "\n", True),
        ("x = ", "\r\ny\n", True),
        ("x = ", "\ny\r\n", False),
        ("\n", "", False),
        ("", "", False),
        ("a\rb", "", False),
    ],
)
def test_the_nearest_line_end_decides(prefix: str, suffix: str, crlf: bool) -> None:
    assert uses_crlf(prefix, suffix) is crlf


def test_a_request_is_kept_with_lf() -> None:
    request = CompletionRequest("a\r\nb\r\n", "\r\nc", SamplingParams(stop=("\r\n\r\n", "x\r", "y")))
    assert (request.prefix, request.suffix, request.crlf) == ("a\nb\n", "\nc", True)
    assert request.sampling.stop == ("\n\n", "x\n", "y")
    plain = CompletionRequest("a\nb", None, SamplingParams(stop=("\r\n",)))
    assert (plain.prefix, plain.crlf, plain.sampling.stop) == ("a\nb", False, ("\n",))


def test_an_echo_gives_back_what_came() -> None:
    uniform = CompletionRequest("a\r\nb\r\n", echo=True)
    assert uniform.prefix == "a\nb\n" and uniform.crlf
    mixed = CompletionRequest("a\r\nb\n", echo=True)
    assert mixed.prefix == "a\r\nb\n" and not mixed.crlf
    assert is_uniform("a\r\nb\r\n") and is_uniform("a\nb") and not is_uniform("a\r\nb\n")


@given(text=st.text("ab \r\né東", max_size=30))
def test_offsets_count_crlf(tokenizer: Tokenizer, text: str) -> None:
    """Compared with every token's position in the whole text."""
    ids = tokenizer.encode(to_lf(text))
    accumulator = Accumulator(tokenizer, crlf=True)
    decoder = tokenizer.stream_decoder()
    for id_ in ids:
        accumulator.add(TokenEvent(decoder.feed(id_), id_, -1.0))
    accumulator.add(Finished("stop", decoder.finish()))
    assert accumulator.text == re.sub(r"(?<!\r)\n", "\r\n", to_lf(text))
    assert "".join(token.text for token in accumulator.tokens) == accumulator.text
    for token in accumulator.tokens:
        assert accumulator.text[token.offset :].startswith(token.text)
