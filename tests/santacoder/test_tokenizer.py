"""Encoding and decoding are inverse, for any text."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from santacoder.errors import UserError
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
    with pytest.raises(ValueError, match=r"a lone surrogate \(U\+D83D\) at character 4"):
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


fragments = st.lists(
    st.sampled_from(
        ["def f(x):", "\n", "    ", "\t", "1", "é", "🐍", "\x1c", "\u180e", "\x85", "<fim-middle>", "don't", "!"]
    ),
    max_size=60,
).map("".join)


@given(text=fragments)
def test_pieces_have_the_tokens_of_the_whole(tokenizer: Tokenizer, text: str) -> None:
    whole = tokenizer._plain.encode(text).ids
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("santacoder.tokenizer._PIECE", 5)
        patch.setattr("santacoder.tokenizer._WINDOW", 3)
        pieces = list(tokenizer._pieces(text))
        assert tokenizer.encode(text) == whole
        marked = tokenizer.encode(text, allow_special=True)
    assert "".join(pieces) == text
    assert marked == tokenizer._with_specials.encode(text).ids


@given(text=fragments, room=st.integers(1, 12))
def test_text_too_long_is_cut_before_it_is_encoded_and_keeps_its_tokens(
    tokenizer: Tokenizer, text: str, room: int
) -> None:
    whole = tokenizer.encode(text)
    longest = max(len(tokenizer.decode_bytes([token_id])) for token_id in range(tokenizer.vocab_size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("santacoder.tokenizer._ALWAYS_WHOLE", 1)
        patch.setattr("santacoder.tokenizer._WINDOW", 8)
        end, is_cut = tokenizer.encode_end(text, room)
        beginning, is_cut_behind = tokenizer.encode_beginning(text, room)
    if len(text) <= room * longest or len(whole) <= room:
        assert (end, is_cut) == (whole, False)
        assert (beginning, is_cut_behind) == (whole, False)
    else:
        assert len(end) >= room and len(beginning) >= room
    assert is_cut or end == whole
    assert is_cut_behind or beginning == whole


def test_what_is_kept_of_code_has_the_tokens_it_has_in_the_whole(tokenizer: Tokenizer) -> None:
    text = "".join(f"value_{i} = compute({i}, 'ä')\n" for i in range(8_000))
    whole = tokenizer.encode(text)
    end, is_cut = tokenizer.encode_end(text, 1_000)
    assert is_cut and 1_000 < len(end) < len(whole)
    assert whole[-len(end) :] == end
    beginning, is_cut = tokenizer.encode_beginning(text, 1_000)
    assert is_cut and 1_000 < len(beginning) < len(whole)
    assert whole[: len(beginning)] == beginning


def test_the_cut_stays_while_a_text_grows(tokenizer: Tokenizer) -> None:
    text = "".join(f"value_{i} = compute({i})\n" for i in range(8_000))
    firsts = {tuple(tokenizer.encode_end(text + "x" * typed, 500)[0][:50]) for typed in range(0, 40)}
    assert len(firsts) <= 2


def test_texts_without_spaces_do_not_stay_in_memory(tokenizer: Tokenizer) -> None:
    """Parts of texts are remembered; a text that cannot be split is one part, however long."""
    tracemalloc.start()
    try:
        for number in range(40):
            tokenizer.encode_end(f"{number}" + "1#" * 10_000, 512)
        n_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes < 3_000_000  # 20,000 tokens take 200 kB, and the last four texts are kept


def test_other_threads_run_while_a_long_text_is_encoded(tokenizer: Tokenizer) -> None:
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.wait(0.001):
            turns += 1

    counting = threading.Thread(target=count)
    counting.start()
    tokenizer.encode("é" * 250_000)  # one word, which cannot be taken apart
    done.set()
    counting.join()
    assert turns > 5


def test_a_text_without_spaces_is_short(tokenizer: Tokenizer) -> None:
    """The library blocks the interpreter for the whole time that it processes a word of millions of characters."""
    assert tokenizer.decode(tokenizer.encode("x" * 100_000)) == "x" * 100_000
    with pytest.raises(UserError, match="300,000 characters without a space"):
        tokenizer.encode("x" * 300_000)
    assert tokenizer.encode_end("x" * 300_000, 100)[1]
    words = "x" * 1_000 + " "
    assert tokenizer.decode(tokenizer.encode(words * 300)) == words * 300


def test_a_tokenizer_learns_from_the_beginning_of_a_file_and_from_words_in_parts() -> None:
    long_word = "\n" * 40_000  # its square would take a second
    learned = Tokenizer.train([f"{long_word}{'é' * 10_000} {'zq' * 20_000}"], 500)
    lengths = [len(learned.decode_bytes([token_id])) for token_id in range(learned.vocab_size)]
    assert 64 <= max(lengths) <= 256
    assert learned.decode(learned.encode("ééé")) == "ééé" and len(learned.encode("éé" * 8)) < 8
    assert len(learned.encode("zq")) == 2
    assert len(learned.encode("\n" * 1000)) < 20  # whole words are encoded, as before
