"""Fill-in-the-middle: prompts for inference, and the transformation of training data.

Bavarian et al., arXiv 2207.14255; the rates and the SPM order are those of SantaCoder's training (arXiv 2301.03988,
section 5, and its Megatron-LM fork: SPM variant 2, context level, cuts drawn over characters).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from santacoder.tokenizer import Tokenizer

FimOrder = Literal["psm", "spm"]
_PREFIX_MARK, _SUFFIX_MARK = re.compile("<fim[-_]prefix>"), re.compile("<fim[-_]suffix>")
_MIDDLE_MARKS = ("<fim-middle>", "<fim_middle>")
Cuts = Callable[[str, np.random.Generator], tuple[int, int]]
NodeCuts = Callable[[str, str, np.random.Generator], tuple[int, int]]

# minimum and maximum number of tokens of a document's parts
_LINE_PARTS, _NODE_PARTS = (32, 256), (64, 512)


def prompt_ids(tokenizer: Tokenizer, prefix: Sequence[int], suffix: Sequence[int], order: FimOrder) -> list[int]:
    """The prompt after which the model generates the text between ``prefix`` and ``suffix``, followed by
    end-of-text.
    """
    if order == "psm":
        return [tokenizer.fim_prefix_id, *prefix, tokenizer.fim_suffix_id, *suffix, tokenizer.fim_middle_id]
    return [tokenizer.fim_prefix_id, tokenizer.fim_suffix_id, *suffix, tokenizer.fim_middle_id, *prefix]


def in_order_of_writing(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """The prompt ``ids`` with the code before the gap at its end, as SPM has it; any other prompt as it is."""
    is_psm = ids[0] == tokenizer.fim_prefix_id and ids[-1] == tokenizer.fim_middle_id
    if not is_psm or tokenizer.fim_suffix_id not in ids:
        return list(ids)
    divider = ids.index(tokenizer.fim_suffix_id)
    return prompt_ids(tokenizer, ids[1:divider], ids[divider + 1 : -1], "spm")


def parse_prompt(prompt: str) -> tuple[str, str, FimOrder] | None:
    """Parse a text that is a complete FIM prompt into prefix, suffix and order; None if it is not one.

    The sentinel tokens may have SantaCoder's or StarCoder's spelling. A text is a prompt only if it has them in an
    order that the model was trained on, PSM or SPM; anywhere else they are ordinary text. The text is searched three
    times at most, regardless of the number of sentinels.
    """
    opening = _PREFIX_MARK.match(prompt)
    divider = _SUFFIX_MARK.search(prompt, opening.end()) if opening else None
    if opening is None or divider is None:
        return None
    middle = max(prompt.rfind(mark, divider.end()) for mark in _MIDDLE_MARKS)
    if middle < 0:
        return None
    before, after = prompt[opening.end() : divider.start()], prompt[middle + len(_MIDDLE_MARKS[0]) :]
    if before and after:
        return None
    return before or after, prompt[divider.end() : middle], "spm" if after else "psm"


@dataclass(frozen=True)
class FimTransform:
    """The training transformation: rearranges the documents in a window of packed tokens, keeping the window's length.

    Each document, or part of one, between end-of-text tokens is transformed with probability ``fim_rate``. Of the
    transformed ones, the fraction ``spm_rate`` uses the SPM order, the others PSM. For the fraction ``line_rate``, each
    part of 32 to 256 tokens is transformed separately, with one line as its middle: this is what editors request, and
    random cuts rarely give it. For the fraction ``node_rate``, each part of 64 to 512 tokens is transformed with a
    syntax node as its middle, which ``node_cuts`` finds in the part's text and language.
    """

    tokenizer: Tokenizer
    fim_rate: float = 0.5
    spm_rate: float = 0.5
    line_rate: float = 0.0
    node_rate: float = 0.0
    node_cuts: NodeCuts | None = None

    def __call__(self, window: np.ndarray, rng: np.random.Generator, languages: Sequence[str] = ()) -> np.ndarray:
        """[T] token ids -> [T] token ids of the same dtype. ``languages`` are those of the window's documents, needed
        only for syntax nodes.
        """
        *ended, last = split_documents(window, self.tokenizer.end_of_text_id)
        documents = [*(np.append(document, self.tokenizer.end_of_text_id) for document in ended), last]
        known = [*languages[: len(documents)], *[""] * (len(documents) - len(languages))]
        samples = [self._sample(*pair, rng) for pair in zip(documents, known, strict=True)]
        return np.concatenate(samples).astype(window.dtype)

    def _sample(self, document: np.ndarray, language: str, rng: np.random.Generator) -> np.ndarray:
        # what follows the last end-of-text may be empty, and then has no language
        if not len(document) or rng.random() >= self.fim_rate:
            return document
        kind = rng.random() if self.line_rate or self.node_rate else 1.0
        if kind < self.line_rate:
            return self._in_parts(document, _LINE_PARTS, line_cuts, rng)
        if kind < self.line_rate + self.node_rate and self.node_cuts is not None:
            node_cuts = self.node_cuts
            return self._in_parts(document, _NODE_PARTS, lambda text, rng: node_cuts(text, language, rng), rng)
        return self._rearranged(document, character_cuts, rng)

    def _in_parts(
        self, document: np.ndarray, sizes: tuple[int, int], cuts: Cuts, rng: np.random.Generator
    ) -> np.ndarray:
        parts = np.split(document, _part_ends(len(document), sizes, rng))
        return np.concatenate([self._rearranged(part, cuts, rng) for part in parts])

    def _rearranged(self, document: np.ndarray, cuts: Cuts, rng: np.random.Generator) -> np.ndarray:
        """Rearrange a document, keeping its length; it is returned unchanged if that is impossible.

        The last token is end-of-text, even if the window ends inside the document: the middle is complete. The suffix
        makes room for the sentinel tokens: it is truncated on the right, or padded with ``<fim-pad>``. A character that
        the window cuts in two is dropped.
        """
        end_of_text = self.tokenizer.end_of_text_id
        content = self.tokenizer.decode_bytes([id_ for id_ in document.tolist() if id_ != end_of_text])
        try:
            text = whole_characters(content).decode("utf-8")
        except UnicodeDecodeError:  # not a packed text
            return document
        low, high = cuts(text, rng)
        spm = rng.random() < self.spm_rate
        prefix, middle, suffix = self.tokenizer.encode_batch([text[:low], text[low:high], text[high:]])
        room = len(document) - len(prefix) - len(middle) - 4
        if room < 0:
            return document
        if room < len(suffix):
            suffix = suffix[:room]
        else:
            suffix = suffix + [self.tokenizer.fim_pad_id] * (room - len(suffix))
        prompt = prompt_ids(self.tokenizer, prefix, suffix, "spm" if spm else "psm")
        return np.array([*prompt, *middle, end_of_text], dtype=document.dtype)


def whole_characters(content: bytes) -> bytes:
    """Remove the bytes at the edges of a piece of UTF-8 that belong to incomplete characters."""
    start = next((place for place, byte in enumerate(content[:4]) if byte & 0xC0 != 0x80), 0)
    for behind, byte in enumerate(content[:-4:-1], 1):
        if byte >= 0xC0:  # the first byte of two, three or four
            complete = behind >= 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return content[start:] if complete else content[start:-behind]
    return content[start:]


def character_cuts(text: str, rng: np.random.Generator) -> tuple[int, int]:
    """Choose the middle of ``text`` anywhere; returns its start and end."""
    low, high = np.sort(rng.integers(0, len(text) + 1, size=2)).tolist()
    return low, high


def line_cuts(text: str, rng: np.random.Generator) -> tuple[int, int]:
    """Choose a line, or the rest of one, as the middle of ``text``; returns its start and end.

    The cursor is at the end of the previous line, after the indentation, or inside the line. The middle includes the
    following line break half of the time, because editors differ in that.
    """
    lines = [(line.start(), line.end()) for line in re.finditer(r"^[^\n]*\S[^\n]*", text, re.MULTILINE)]
    if not lines:
        return 0, len(text)
    start, end = lines[rng.integers(len(lines))]
    indentation = len(text[start:end]) - len(text[start:end].lstrip())
    anywhere = int(rng.integers(start, start + len(text[start:end].rstrip())))
    low = [start - 1, start + indentation, anywhere][rng.integers(3)]
    return max(low, 0), min(end + int(rng.integers(2)), len(text))


def _part_ends(length: int, sizes: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Positions at which to cut ``length`` tokens into parts of ``sizes``, except for the last; short parts are most
    frequent.
    """
    smallest, largest = np.log2(sizes)
    ends = np.cumsum(2 ** rng.uniform(smallest, largest, size=length // sizes[0])).astype(np.int64)
    return ends[ends < length]


def split_documents(window: np.ndarray, end_of_text_id: int) -> Iterator[np.ndarray]:
    """The parts between end-of-text tokens, one more than there are tokens; parts may be empty."""
    start = 0
    for mark in np.flatnonzero(window == end_of_text_id).tolist():
        yield window[start:mark]
        start = mark + 1
    yield window[start:]
