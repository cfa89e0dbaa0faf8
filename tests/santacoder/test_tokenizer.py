"""Encoding and decoding are inverses, whatever the text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from santacoder.tokenizer import SPECIAL_TOKENS, Tokenizer

texts = st.one_of(
    st.text(),
    st.binary().map(lambda data: data.decode("latin-1")),
    st.binary().map(lambda data: data.decode("utf-8", errors="replace")),
    st.lists(st.sampled_from([*SPECIAL_TOKENS, " ", "\n\t", "12345", "déjà", "\0", "🐍", "def f(x):"])).map("".join),
)


@given(text=texts)
def test_decode_inverts_encode(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.special_ids.isdisjoint(ids)
    assert tokenizer.encode_batch([text]) == [ids]


@given(text=texts)
def test_streamed_pieces_add_up_to_the_text(tokenizer: Tokenizer, text: str) -> None:
    decoder = tokenizer.stream_decoder()
    pieces = [decoder.feed(token_id) for token_id in tokenizer.encode(text)]
    assert "".join(pieces) + decoder.finish() == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


@given(data=st.binary())
def test_every_byte_string_has_tokens(tokenizer: Tokenizer, data: bytes) -> None:
    ids_of_bytes = {tokenizer.decode_bytes([token_id]): token_id for token_id in range(tokenizer.vocab_size)}
    assert tokenizer.decode_bytes(ids_of_bytes[bytes([byte])] for byte in data) == data


def test_special_tokens_in_a_text_are_text_unless_allowed(tokenizer: Tokenizer) -> None:
    text = "a<fim-middle>b<|endoftext|>"
    assert tokenizer.special_ids.isdisjoint(tokenizer.encode(text))
    allowed = tokenizer.encode(text, allow_special=True)
    assert tokenizer.fim_middle_id in allowed
    assert allowed[-1] == tokenizer.end_of_text_id
    assert tokenizer.decode(allowed) == text


def test_digits_are_tokens_of_their_own(tokenizer: Tokenizer) -> None:
    digits = tokenizer.encode("x = 2048")[-4:]
    assert [tokenizer.decode([token_id]) for token_id in digits] == ["2", "0", "4", "8"]


def test_half_a_surrogate_pair_is_refused_with_its_place(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match=r"half a surrogate pair \(U\+D83D\) at character 4"):
        tokenizer.encode("abc\ud83d")


@given(text=texts)
def test_transformers_reads_the_saved_file_alike(
    tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "tokenizer.json"
    if not path.exists():
        tokenizer.save(path)
    twin = PreTrainedTokenizerFast(tokenizer_file=str(path))
    assert twin.encode(text) == tokenizer.encode(text, allow_special=True)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"model": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="tokenizer.json is not a readable tokenizer"):
        Tokenizer.load(path)
