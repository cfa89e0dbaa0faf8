"""Word-level differences between texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Literal

import numpy as np

from app.generation.records import MARK, Generation

# a run of one punctuation character is one word, as in lines of dashes
_WORDS, _LINES = re.compile(r"\w+|[^\S\n]+|\n|([^\w\s])\1*"), re.compile(r"[^\n]*\n|[^\n]+")
_MOST_CELLS = 1 << 22  # of the table of in_common: 16 MB, for texts of two thousand words each

Piece = tuple[Literal["prompt", "same", "new"], str]
"""A piece of code: the user's prompt, or generated text that is either common or new."""


def compared_pieces(generation: Generation, others: Sequence[Generation], *, whole_prompt: bool = True) -> list[Piece]:
    """The code of the first candidate, in pieces that separate what any of ``others`` did not write there.

    ``others`` have the same prompt. A text is not compared with those that have not reached its gap. Without
    ``whole_prompt``, only the prompt's lines with generated text are included.
    """
    pieces: list[Piece] = []
    for index, part in enumerate(generation.parts):
        pieces.append(("prompt", part if whole_prompt else _edges(part, index == 0, index == generation.n_gaps)))
        if index < generation.n_gaps:
            text, *texts = (each.candidates[0].text_of_gap(index) for each in (generation, *others))
            found = tuple(other for other in texts if other is not None)
            pieces += [("prompt", MARK)] if text is None else compared_words(text, found)
    return [piece for piece in pieces if piece[1]]


@lru_cache(maxsize=512)  # a replay shows all its texts again at each token
def compared_words(text: str, others: tuple[str, ...]) -> tuple[Piece, ...]:
    """``text`` in pieces: what all ``others`` contain in the same order, and what at least one of them lacks.

    The pieces joined are the text. Spaces between two new words are part of the new piece. Texts of very many words are
    compared by lines.
    """
    words, *others_words = _split([text, *others])
    is_shared = np.ones(len(words), dtype=bool)
    for other_words in others_words:
        is_shared &= in_common(words, other_words)
    for place in range(1, len(words) - 1):
        if words[place].isspace() and words[place] != "\n" and not (is_shared[place - 1] or is_shared[place + 1]):
            is_shared[place] = False
    pieces = groupby(zip(words, is_shared, strict=True), key=lambda pair: bool(pair[1]))
    return tuple(("same" if shared else "new", "".join(word for word, _ in stretch)) for shared, stretch in pieces)


def _split(texts: Sequence[str]) -> list[list[str]]:
    """``texts`` in words; or in lines, or as a whole, if there are too many to compare the first with the others."""
    for unit in (_WORDS, _LINES):
        split = [[match[0] for match in unit.finditer(text)] for text in texts]
        if len(split[0]) * max(map(len, split)) <= _MOST_CELLS:
            return split
    return [[text] for text in texts]


def in_common(words: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Which of ``words`` are in a longest common subsequence with ``others``: bool [len(words)].

    Computed row by row, because difflib takes seconds for repetitive code, which small models write.
    """
    numbers = {word: number for number, word in enumerate({*words, *others})}
    ids, other_ids = (np.array([numbers[word] for word in each], dtype=np.int32) for each in (words, others))
    # lengths[i, j] is the length for the first i words and the first j others
    lengths = np.zeros((len(ids) + 1, len(other_ids) + 1), dtype=np.int32)
    for row, word in enumerate(ids):
        np.maximum(lengths[row, 1:], lengths[row, :-1] + (other_ids == word), out=lengths[row + 1, 1:])
        np.maximum.accumulate(lengths[row + 1], out=lengths[row + 1])
    found = np.zeros(len(ids), dtype=bool)
    i, j = len(ids), len(other_ids)
    while i and j:
        if lengths[i, j] == lengths[i - 1, j]:
            i -= 1
        elif lengths[i, j] == lengths[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found[i] = True
    return found


def _edges(part: str, is_first: bool, is_last: bool) -> str:
    """The lines of ``part`` at its ends that have generated text next to them."""
    lines = part.split("\n")
    if is_first and not is_last:
        return lines[-1]
    if is_last and not is_first:
        return lines[0]
    return part if len(lines) < 3 else f"{lines[0]}\n…\n{lines[-1]}"
