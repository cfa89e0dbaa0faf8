"""Byte-level BPE with single digits and five special tokens (arXiv 2301.03988, section 4.2)."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from santacoder.atomic import replacing
from santacoder.checkpoint_files import shown
from santacoder.errors import UserError
from santacoder.tokenizer_file import read_tokenizer_file

END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX = "<fim-prefix>"
FIM_MIDDLE = "<fim-middle>"
FIM_SUFFIX = "<fim-suffix>"
FIM_PAD = "<fim-pad>"
SPECIAL_TOKENS = (END_OF_TEXT, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD)

# characters encoded at a time: the library needs about 200 bytes of memory per token
_PIECE = 65_536
# of prompts: a keystroke changes one piece
_SHORT_PIECE, _MOST_PIECES = 1024, 256
_LONGEST_KEPT = 4 * _SHORT_PIECE  # a text without spaces is one piece, and the tokens of 256 such texts fill the memory
# texts with fewer characters are always encoded whole, so that their tokens can be counted
_ALWAYS_WHOLE = 50_000
# how far to search for a position to cut at
_WINDOW = 10_000
# maximum characters encoded at once where there is no position to cut at: the library blocks the interpreter for part
# of its work, 0.1 s for this length (AMD EPYC Zen 3, two busy cores)
_LONGEST_PIECE = 262_144
# GPT-2's pre-tokenizer begins a word at any white space after another character, so no token spans such a position.
# Only ASCII is considered, because libraries disagree on other white space.
_WORD_BREAK = re.compile(r"(?<=[!-~])(?=[ \t\r\n])")
# training: bytes of each text that are used, so that no single file dominates the vocabulary
_LEARNED = 65_536
# training: maximum bytes of a word, because the library's time is quadratic in it (half a million line breaks are one
# word, and took 244 s)
_LONGEST_WORD = 256


class Tokenizer:
    """Converts text to token ids and back without loss: ``decode(encode(text)) == text`` for every valid Unicode text.

    The ids of the special tokens come from the file, not from their order.

    Raises:
        UserError: a special token is missing, or a token stands for no bytes.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        # settings that a published tokenizer.json may still have from training
        backend.no_truncation()
        backend.no_padding()
        self._with_specials = backend
        self._bytes = _token_bytes(backend)
        self._longest = max(map(len, self._bytes))
        self.end_of_text_id = self._special_id(END_OF_TEXT)
        self.fim_prefix_id = self._special_id(FIM_PREFIX)
        self.fim_middle_id = self._special_id(FIM_MIDDLE)
        self.fim_suffix_id = self._special_id(FIM_SUFFIX)
        self.fim_pad_id = self._special_id(FIM_PAD)
        self.special_ids = frozenset(self._special_id(token) for token in SPECIAL_TOKENS)
        self.fim_ids = self.special_ids - {self.end_of_text_id}
        # a copy that treats special tokens in its input as ordinary text; only tokens marked as special can be
        # disabled, and a published file may list them as ordinary additions
        self._plain = tokenizers.Tokenizer.from_str(backend.to_str())
        self._plain.add_special_tokens([backend.id_to_token(token_id) for token_id in sorted(self.special_ids)])
        self._plain.encode_special_tokens = True
        self._breaks_at_spaces = _breaks_at_spaces(backend)
        # the candidates of a request have the same prompt, and the next prompt mostly differs at its end
        self._encode_again = lru_cache(maxsize=4)(self._encode_in_pieces)
        self._encode_piece = lru_cache(maxsize=_MOST_PIECES)(self._encode)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> Tokenizer:
        """Train a byte-level tokenizer with ``vocab_size`` tokens, to which the special tokens are added.

        If a small corpus has too few distinct pairs for ``vocab_size`` tokens, the result is smaller. Only the first
        65,536 bytes of each text are used.
        """
        words = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        backend = tokenizers.Tokenizer(models.BPE())
        backend.decoder = decoders.ByteLevel()
        backend.pre_tokenizer = pre_tokenizers.Sequence([*words, pre_tokenizers.FixedLength(_LONGEST_WORD)])
        backend.train_from_iterator(
            (text.encode()[:_LEARNED].decode(errors="ignore") for text in texts),
            trainers.BpeTrainer(
                vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
            ),
        )
        backend.pre_tokenizer = pre_tokenizers.Sequence(words)
        backend.add_special_tokens(list(SPECIAL_TOKENS))
        return cls(backend)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a ``tokenizer.json``.

        Raises:
            CheckpointError: the file is missing or cannot be read.
            UserError: the file is not a tokenizer like SantaCoder's, or lacks a special token.
        """
        place, document = shown(Path(path)), read_tokenizer_file(Path(path))
        try:
            backend = tokenizers.Tokenizer.from_str(document)
        except (KeyboardInterrupt, SystemExit):
            raise
        # the library raises plain Exceptions for invalid files, and panics, which are not Exceptions
        except BaseException as error:
            raise UserError(f"{place} is not a readable tokenizer.json: {error}.") from error
        try:
            return cls(backend)
        except UserError as error:
            raise UserError(f"{place} cannot be used: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a ``tokenizer.json`` with merges as strings, for readers before tokenizers 0.20."""
        document = json.loads(self._with_specials.to_str())
        merges = document["model"]["merges"]
        document["model"]["merges"] = [pair if isinstance(pair, str) else " ".join(pair) for pair in merges]
        with replacing(Path(path)) as file:
            file.write(json.dumps(document, ensure_ascii=False, indent=1).encode())

    @property
    def vocab_size(self) -> int:
        """Number of tokens, including special tokens."""
        return len(self._bytes)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Token ids of ``text``. Special tokens spelled in it are ordinary text unless ``allow_special``.

        Other threads can run meanwhile: the library releases the interpreter lock only in its batch functions.

        Raises:
            UserError: the text has a lone surrogate, which UTF-8 cannot represent, or a part without spaces that
                is longer than any in code.
        """
        for piece in self._pieces(text):
            if len(piece) > _LONGEST_PIECE:
                raise UserError(
                    f"The text has {len(piece):,} characters without a space to split it at; at most "
                    f"{_LONGEST_PIECE:,} can be encoded at once."
                )
        return self._encode(text, allow_special=allow_special)

    def encode_end(self, text: str, room: int) -> tuple[list[int], bool]:
        """Token ids of ``text``, or of its end if the text is so long that ``room`` tokens cannot hold it; and whether
        it was truncated.

        While a text grows, the position of the cut is stable; then it moves by at least ``room`` tokens.

        Raises:
            UserError: the text has a lone surrogate.
        """
        unit = self._most_characters(room)
        start = max(0, len(text) - _WINDOW - unit) // unit * unit
        if start:
            text = text[self._word_break(text, start) :]
        return list(self._encode_again(text)), start > 0

    def encode_beginning(self, text: str, room: int) -> tuple[list[int], bool]:
        """Token ids of ``text``, or of its beginning if the text is so long that ``room`` tokens cannot hold it; and
        whether it was truncated.

        Raises:
            UserError: the text has a lone surrogate.
        """
        most = 2 * self._most_characters(room) + _WINDOW
        is_cut = len(text) > most
        if is_cut:
            text = text[: self._word_break(text, most - _WINDOW)]
        return list(self._encode_again(text)), is_cut

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Like ``encode``, for many texts at once, on all cores; also the pieces of a long text."""
        pieces = [list(self._pieces(require_valid_unicode(text))) for text in texts]
        encodings = iter(self._plain.encode_batch_fast(list(chain.from_iterable(pieces))))
        return [[id_ for encoding in islice(encodings, len(of_text)) for id_ in encoding.ids] for of_text in pieces]

    def word_starts(self, text: str) -> list[int]:
        """The positions at which the pre-tokenizer splits ``text``, in characters, including 0; no token spans them."""
        if self._plain.pre_tokenizer is None:
            return [0] if text else []
        return [start for _, (start, _) in self._plain.pre_tokenizer.pre_tokenize_str(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``, with special tokens spelled out. Invalid bytes become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(self._bytes[token_id] for token_id in ids)

    def stream_decoder(self, after: Iterable[int] = ()) -> StreamDecoder:
        """A decoder that takes one id at a time; the bytes of ``after`` may end with an incomplete character."""
        decoder = StreamDecoder(self._bytes)
        for token_id in after:
            decoder.feed(token_id)
        return decoder

    def _encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        backend = self._with_specials if allow_special else self._plain
        pieces = self._pieces(require_valid_unicode(text))
        return [token_id for piece in pieces for token_id in backend.encode_batch_fast([piece])[0].ids]

    def _encode_in_pieces(self, text: str) -> list[int]:
        """Like :meth:`_encode`, in short pieces, of which those encoded lately are known."""
        ids: list[int] = []
        for piece in self._pieces(require_valid_unicode(text), _SHORT_PIECE, _SHORT_PIECE):
            ids += self._encode_piece(piece) if len(piece) <= _LONGEST_KEPT else self._encode(piece)
        return ids

    def _most_characters(self, room: int) -> int:
        """The maximum number of characters that ``room`` tokens can represent, or the minimum length that is worth
        cutting.
        """
        return max(_ALWAYS_WHOLE, room * self._longest)

    def _pieces(self, text: str, size: int = _PIECE, least_rest: int = _WINDOW) -> Iterator[str]:
        """Split ``text`` into parts of about ``size`` characters, whose tokens are those of the whole text."""
        start = 0
        while self._breaks_at_spaces and len(text) - start > size + least_rest:
            found = _WORD_BREAK.search(text, start + size)
            if found is None:
                break
            yield text[start : found.start()]
            start = found.start()
        yield text[start:]

    def _word_break(self, text: str, start: int) -> int:
        """The first position from ``start`` on that no token spans, or ``start`` if there is none nearby."""
        found = _WORD_BREAK.search(text, start, start + _WINDOW)
        return found.start() if found else start

    def _special_id(self, token: str) -> int:
        # StarCoder spells the sentinel tokens with underscores
        for spelling in (token, token.replace("-", "_")):
            token_id = self._with_specials.token_to_id(spelling)
            if token_id is not None:
                return token_id
        raise UserError(f"The tokenizer lacks the special token {token}.")


class StreamDecoder:
    """Decodes token ids one by one, holding back the bytes of incomplete characters."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int, skip: int = 0) -> str:
        """The text that the token adds, without its first ``skip`` bytes."""
        return self._decoder.decode(self._token_bytes[token_id][skip:])

    @property
    def unfinished(self) -> bool:
        """Whether bytes of an incomplete character are held back."""
        return bool(self._decoder.getstate()[0])

    def peek(self, token_id: int, skip: int = 0) -> str:
        """The text that ``feed`` would return, without changing the state."""
        state = self._decoder.getstate()
        text = self.feed(token_id, skip)
        self._decoder.setstate(state)
        return text

    def finish(self) -> str:
        """The remaining incomplete character, as U+FFFD."""
        return self._decoder.decode(b"", final=True)


def require_valid_unicode(text: str) -> str:
    """Return ``text`` if it is valid.

    Raises:
        UserError: it has a lone surrogate.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"The text has a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start + 1}, "
            "which is not a valid character; remove it and try again."
        ) from error
    return text


def _breaks_at_spaces(backend: tokenizers.Tokenizer) -> bool:
    """Whether ``backend`` splits text like GPT-2, without changing it first."""
    document = json.loads(backend.to_str())
    splitter = document.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    last = steps[-1] if steps else {}
    return (
        document.get("normalizer") is None
        and last.get("type") == "ByteLevel"
        and last.get("use_regex", True)
        and not last.get("add_prefix_space", True)
        and all(step.get("type") == "Digits" for step in steps[:-1])
        and not any(
            token["lstrip"] or token["rstrip"] or token["single_word"] or re.search(r"\s", token["content"])
            for token in document["added_tokens"]
        )
    )


def _token_bytes(backend: tokenizers.Tokenizer) -> list[bytes]:
    """The bytes of each token by id; empty for ids that the file does not use."""
    byte_of = {character: byte for byte, character in _byte_level_alphabet()}
    added = backend.get_added_tokens_decoder()
    vocabulary = backend.get_vocab()
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, token_id in vocabulary.items():
        if token_id in added:
            table[token_id] = token.encode("utf-8")
        elif not byte_of.keys() >= set(token):
            raise UserError(f"The token {token!r} is not spelled in GPT-2's byte-level alphabet.")
        else:
            table[token_id] = bytes(byte_of[character] for character in token)
    return table


def _byte_level_alphabet() -> Iterator[tuple[int, str]]:
    """GPT-2's printable character for every byte: printable Latin-1 maps to itself, the rest to U+0100 and up."""
    shifted = 0x100
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF:
            yield byte, chr(byte)
        else:
            yield byte, chr(shifted)
            shifted += 1
