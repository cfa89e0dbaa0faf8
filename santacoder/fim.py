"""Fill-in-the-middle: prompts for inference and the transformation of training data.

Bavarian et al., arXiv 2207.14255; the rates and the SPM order are those of SantaCoder's training (arXiv 2301.03988,
section 5, and its Megatron-LM fork: SPM variant 2, context level, cuts drawn over characters).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from santacoder.tokenizer import Tokenizer

FimOrder = Literal["psm", "spm"]


def prompt_ids(tokenizer: Tokenizer, prefix: Sequence[int], suffix: Sequence[int], order: FimOrder) -> list[int]:
    """The tokens after which the model writes what belongs between ``prefix`` and ``suffix``, then end-of-text."""
    if order == "psm":
        return [tokenizer.fim_prefix_id, *prefix, tokenizer.fim_suffix_id, *suffix, tokenizer.fim_middle_id]
    return [tokenizer.fim_prefix_id, tokenizer.fim_suffix_id, *suffix, tokenizer.fim_middle_id, *prefix]


@dataclass(frozen=True)
class FimTransform:
    """The training transformation: rearranges documents inside a window of packed tokens, keeping its length.

    Each document, or piece of one, between end-of-text marks is transformed with probability ``fim_rate``; of the
    transformed ones a share of ``spm_rate`` takes the SPM order, the others PSM.
    """

    tokenizer: Tokenizer
    fim_rate: float = 0.5
    spm_rate: float = 0.5

    def __call__(self, window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """[T] token ids -> [T] token ids of the same dtype."""
        end_of_text = self.tokenizer.end_of_text_id
        pieces = [
            self._transform_document(document, rng) if rng.random() < self.fim_rate else document
            for document in split_documents(window, end_of_text)
        ]
        joined = [np.append(piece, end_of_text) for piece in pieces[:-1]] + pieces[-1:]
        return np.concatenate(joined).astype(window.dtype)

    def _transform_document(self, document: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The rearranged document, as long as before; the document itself where it cannot be rearranged.

        The suffix gives way for the marks: it is cut at its right, or padded with ``<fim-pad>``.
        """
        try:
            text = self.tokenizer.decode_bytes(document.tolist()).decode("utf-8")
        except UnicodeDecodeError:  # the window starts or ends inside a character
            return document
        low, high = np.sort(rng.integers(0, len(text) + 1, size=2)).tolist()
        spm = rng.random() < self.spm_rate
        prefix, middle, suffix = self.tokenizer.encode_batch([text[:low], text[low:high], text[high:]])
        room = len(document) - len(prefix) - len(middle) - 3
        if room < 0:
            return document
        if room < len(suffix):
            suffix = suffix[:room]
        else:
            suffix = suffix + [self.tokenizer.fim_pad_id] * (room - len(suffix))
        return np.array(
            prompt_ids(self.tokenizer, prefix, suffix, "spm" if spm else "psm") + middle, dtype=document.dtype
        )


def split_documents(window: np.ndarray, end_of_text_id: int) -> Iterator[np.ndarray]:
    """The runs between end-of-text marks, one more than there are marks; a run may be empty."""
    start = 0
    for mark in np.flatnonzero(window == end_of_text_id).tolist():
        yield window[start:mark]
        start = mark + 1
    yield window[start:]
