"""Token healing: continue a prompt that ends inside a token as if it did not.

A text is tokenized from the left, so a prompt often ends in other tokens than the same text would have if it went on: a
line break, for instance, is mostly one token with the indentation after it. So tokens at the end of the prompt are
removed, as far as they could change, and generation begins with tokens that agree with the removed text.

Lundberg, "The Art of Prompt Design: Prompt Boundaries and Token Healing" (2023) removes one token. Here it is all that
the pre-tokenizer may still split differently. A token that spells only a part of the text is as likely as all words
with that beginning; if the logits after it are known, it is weighted by how likely the rest of the text follows it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from santacoder.engine.gap_start import is_inside_line
from santacoder.errors import UserError
from santacoder.tokenizer import Tokenizer

# what may follow: letters, the ends of English contractions, white space, a digit, punctuation
_PROBES = ("a", "s", "e", "l", " ", " a", "\n", "0", ".")
# tokens from the end within which the boundary is searched
_WINDOW = 24
# maximum number of removed tokens: a run of white space, punctuation or letters without spaces may be longer
_MOST = 8


def is_on_by_default(prefix: str, suffix: str | None) -> bool:
    """Whether token healing is on if nobody says otherwise: for text to continue; and for gaps, unless the prefix ends
    in punctuation at the end of a line. If that comes first (PSM), nearly every middle would end with the punctuation
    respelled; everywhere else, healed gaps measured better or the same (docs/completion.md)."""
    last = prefix[-1:]
    is_punctuation = not (last.isalnum() or last.isspace() or last == "_")
    return suffix is None or not is_punctuation or is_inside_line(prefix, suffix)


class TokenHealing:
    """Which tokens of one tokenizer agree with the beginning of a text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._settled = lru_cache(maxsize=64)(self._find_settled)
        self._beginning = lru_cache(maxsize=4096)(self._find_beginning)

    @cached_property
    def _sorted(self) -> tuple[list[bytes], np.ndarray]:
        """The bytes and ids of all tokens but the special ones, sorted by their bytes."""
        texts = {id_: self._tokenizer.decode_bytes([id_]) for id_ in range(self._tokenizer.vocab_size)}
        ids = [id_ for id_, text in texts.items() if text and id_ not in self._tokenizer.special_ids]
        ids.sort(key=lambda id_: texts[id_])
        return [texts[id_] for id_ in ids], np.array(ids, dtype=np.int64)

    def n_open(self, ids: Sequence[int]) -> int:
        """How many tokens at the end of ``ids`` could change once more text follows."""
        text = self._tokenizer.decode(ids[-_WINDOW:])
        left = len(text[self._settled(text) :].encode("utf-8"))
        count = 0
        while left > 0 and count < min(_MOST, len(ids)):
            count += 1
            left -= len(self._tokenizer.decode_bytes([ids[-count]]))
        return count

    def agreeing(self, text: bytes) -> np.ndarray:
        """Ids of the tokens that begin with ``text``, and of those that are an allowed prefix of it. There is at least
        one; ``text`` must not be empty."""
        return np.concatenate([self._covering(text), np.array(self._beginning(text), dtype=np.int64)])

    def _find_settled(self, text: str) -> int:
        """The position, in characters, from which ``text`` may still be split into other tokens."""
        starts = self._tokenizer.word_starts(text)
        begin = starts[-3] if len(starts) >= 3 else 0
        end = text[begin:]
        settled = {*self._tokenizer.word_starts(end), len(end)}
        for probe in _PROBES:
            settled.intersection_update(self._tokenizer.word_starts(end + probe))
        return begin + max(settled, default=0)

    def _covering(self, text: bytes) -> np.ndarray:
        texts, ids = self._sorted
        first = bisect_left(texts, text)
        return ids[first : bisect_left(texts, _after_all_that_begin_with(text), lo=first)]

    def _find_beginning(self, text: bytes) -> tuple[int, ...]:
        """Tokens that spell a prefix of ``text``: its first token, and those after which the pre-tokenizer splits it
        once more text follows, as before the last space if a word follows. Other prefixes of a word begin other words,
        and would be likely because of those."""
        found = set()
        for probe in ("", "a", "0", "("):
            try:
                spelled = text.decode("utf-8") + probe
            except UnicodeDecodeError:  # the first bytes of a character are spelled out already
                continue
            first = self._tokenizer.encode(spelled)[0]
            size = len(self._tokenizer.decode_bytes([first]))
            if size < len(text) and (not probe or self._cuts(spelled, size)):
                found.add(first)
        if not found and not len(self._covering(text)):
            found.add(self._longest(text))
        return tuple(sorted(found))

    def _cuts(self, text: str, size: int) -> bool:
        """Whether the pre-tokenizer splits ``text`` after ``size`` bytes."""
        return size in {len(text[:start].encode("utf-8")) for start in self._tokenizer.word_starts(text)}

    def _longest(self, text: bytes) -> int:
        """The longest token that is a prefix of ``text``; single bytes are tokens, too."""
        texts, ids = self._sorted
        for size in range(len(text) - 1, 0, -1):
            index = bisect_left(texts, text[:size])
            if texts[index : index + 1] == [text[:size]]:
                return int(ids[index])
        raise UserError(f"The model has no token for the end of the prompt, {text!r}; end it elsewhere.")


def _after_all_that_begin_with(text: bytes) -> bytes:
    """The first byte string, in sort order, after all that begin with ``text``; none comes after only 0xFF bytes."""
    kept = text.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\xff" * (len(text) + 64)
