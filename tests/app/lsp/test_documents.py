"""Documents against a reference that keeps each text as a whole, in the protocol's three position encodings."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from app.lsp.documents import Document, Documents

ENCODINGS = ["utf-8", "utf-16", "utf-32"]
PIECES = ["a", "b", " ", "\n", "\r", "\r\n", "é", "€", "😀", "\u2028", "\x0c"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def opened(text: str, encoding: str = "utf-16", language: str = "python", uri: str = "file:///a.py") -> Document:
    return Document(types.TextDocumentItem(uri, language, 1, text), encoding)


def units(text: str, encoding: str) -> int:
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    return len(text.encode(f"{encoding}-le" if width > 1 else encoding)) // width


def position_of(text: str, offset: int, encoding: str) -> types.Position:
    """The position of an offset that is not inside a line end."""
    lines = re.split("\r\n|\n|\r", text[:offset])
    return types.Position(len(lines) - 1, units(lines[-1], encoding))


def between_characters(text: str) -> list[int]:
    return [offset for offset in range(len(text) + 1) if text[max(0, offset - 1) : offset + 1] != "\r\n"]


@given(st.data(), st.sampled_from(ENCODINGS))
def test_edits_give_the_text_that_the_editor_has(data: st.DataObject, encoding: str) -> None:
    text = data.draw(TEXTS)
    document = opened(text, encoding)
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = sorted(data.draw(st.sampled_from(between_characters(text))) for _ in range(2))
        new = data.draw(TEXTS)
        place = types.Range(position_of(text, start, encoding), position_of(text, end, encoding))
        document.apply(types.TextDocumentContentChangePartial(place, new))
        text = text[:start] + new + text[end:]
        assert "".join(document.lines) == text
        assert [line.rstrip("\r\n") for line in document.lines] == re.split("\r\n|\n|\r", text)


@given(TEXTS, st.sampled_from(ENCODINGS))
def test_positions_and_places_are_each_others_inverse(text: str, encoding: str) -> None:
    document = opened(text, encoding)
    for offset in between_characters(text):
        position = position_of(text, offset, encoding)
        line, column = document.place(position)
        assert sum(map(len, document.lines[:line])) + column == offset
        assert document.position(line, column) == position


@given(TEXTS, st.integers(0, 20), st.integers(0, 40), st.sampled_from(ENCODINGS))
def test_positions_that_do_not_exist_are_the_nearest_that_do(text: str, line: int, unit: int, encoding: str) -> None:
    document = opened(text, encoding)
    found, column = document.place(types.Position(line, unit))
    shown = document.lines[found].rstrip("\r\n")
    assert found == min(line, len(document.lines) - 1)
    assert column <= len(shown)
    if found == line:
        assert units(shown[:column], encoding) <= unit
        assert column == len(shown) or units(shown[: column + 1], encoding) > unit


@given(TEXTS, st.data(), st.integers(0, 30))
def test_windows_are_the_text_around_the_cursor(text: str, data: st.DataObject, most: int) -> None:
    document = opened(text)
    offset = data.draw(st.sampled_from(between_characters(text)))
    line, column = document.place(position_of(text, offset, "utf-16"))
    before, after = document.before(line, column, most), document.after(line, column, most)
    assert text[:offset].endswith(before) and len(before) <= most
    assert text[offset:].startswith(after) and len(after) <= most
    if most > len(text):
        assert before + after == text


def test_a_window_mostly_begins_at_the_same_place_while_one_types() -> None:
    document = opened("".join(f"value_{number} = {number}\n" for number in range(1000)))
    starts = []
    for count in range(200):
        line = 500 + count // 20
        place = types.Position(line, count % 20)
        document.apply(
            types.TextDocumentContentChangePartial(types.Range(place, place), "x\n" if count % 20 == 19 else "x")
        )
        before = document.before(line, count % 20 + 1, 1500)
        starts.append(before[:12])
        assert len(before) > 1000
    assert len(set(starts)) <= 3


def test_lone_surrogates_are_replaced() -> None:
    assert opened("a\ud83d = 1").lines == ["a\ufffd = 1"]


@pytest.mark.parametrize(
    ("language", "uri", "found"),
    [
        ("python", "untitled:1", "python"),
        ("typescriptreact", "file:///a", "javascript"),
        ("plaintext", "file:///a%20b/Main.java", "java"),
        ("rust", "file:///a.rs", None),
    ],
)
def test_the_language_is_the_editors_or_the_files(language: str, uri: str, found: str | None) -> None:
    assert opened("", language=language, uri=uri).language == found


def test_a_change_to_a_document_that_is_not_open_is_ignored() -> None:
    documents = Documents()
    change = types.TextDocumentContentChangeWholeDocument("x")
    identifier = types.VersionedTextDocumentIdentifier(2, "file:///b.py")
    documents.change(types.DidChangeTextDocumentParams(identifier, [change]))
    assert documents.get("file:///b.py") is None
