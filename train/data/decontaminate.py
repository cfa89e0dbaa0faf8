"""Decontamination: detects files with a benchmark's prompt or solution, by shared word n-grams and by whole texts.

Both are stored as hashes, so every corpus is checked even if the benchmarks are not available. ``python -m
train.data.decontaminate`` regenerates the files of hashes from a folder or from the Hub.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rensa import RMinHash

from santacoder.attribution.tokens import powers
from santacoder.paths import user_path
from train.data.benchmark_texts import benchmark_texts
from train.data.source_file import SourceFile

# words per n-gram; between the 8 and 13 of arXiv 2005.14165, appendix C: the shortest prompts have about ten words
RUN = 10
MIN_DIFFERENT_WORDS = 8  # per n-gram, without numbers, so that tables and simple nested loops do not count
# minimum tokens of a whole text, including punctuation; shorter ones, such as ``return len(string)``, are too common
# (docs/data.md has figures)
MIN_TOKENS = 8
RUNS = Path(__file__).with_name("benchmarks.npy")
WHOLE_TEXTS = Path(__file__).with_name("benchmark_texts.npy")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Fingerprints(NamedTuple):
    """Hashes of the benchmark texts.

    ``runs`` are hashes of word n-grams, [n] uint64, ascending. ``whole`` has a row for each whole text, [m, 4] uint64,
    ascending: the hash of a window of MIN_TOKENS tokens in it, the number of tokens before the window, the number of
    tokens of the text, and the hash of the text.
    """

    runs: np.ndarray
    whole: np.ndarray


def contaminated(files: Sequence[SourceFile]) -> list[str | None]:
    """A filter (``filters.py``) that removes files with a ten-word run of a benchmark's prompt or solution, or with a
    whole one. Case and white space are ignored.
    """
    known = _fingerprints()
    return ["part of a benchmark" if is_contaminated(file.text, known) else None for file in files]


def digest_of_benchmarks() -> str:
    """A digest of the stored hashes, which changes with the benchmarks that are looked for."""
    return hashlib.sha256(RUNS.read_bytes() + WHOLE_TEXTS.read_bytes()).hexdigest()


def is_contaminated(text: str, known: Fingerprints) -> bool:
    tokens = _Tokens(text)
    return bool(_among(tokens.runs(), known.runs).any()) or tokens.hold_one_of(known.whole)


def fingerprints(texts: Iterable[str]) -> Fingerprints:
    """The fingerprints of ``texts``. Texts of few tokens and few different words have none: they cannot be
    distinguished from ordinary code.
    """
    tokenised = [_Tokens(text) for text in dict.fromkeys(texts)]
    runs = np.concatenate([tokens.telling_runs() for tokens in tokenised])
    long = [tokens for tokens in tokenised if len(tokens.hashes) >= MIN_TOKENS and len(set(tokens.words)) > 2]
    frequency = Counter(window for tokens in long for window in set(tokens.windows().tolist()))
    rows = [tokens.whole(frequency) for tokens in long]
    whole = np.unique(np.array(rows, np.uint64).reshape(-1, 4), axis=0)
    return Fingerprints(np.unique(runs), whole)


class _Tokens:
    """The words and punctuation of a text in lower case, and hashes computed from them."""

    def __init__(self, text: str) -> None:
        tokens = _TOKEN.findall(text.lower())
        is_word = [token.isalnum() or "_" in token or token[0].isalnum() for token in tokens]
        self.hashes = _hashes(tokens)
        self.words = [token for token, word in zip(tokens, is_word, strict=True) if word]
        self._word_hashes = self.hashes[np.array(is_word, bool)]

    def runs(self) -> np.ndarray:
        """Hashes of the ten-word runs, [words - 9] uint64."""
        combined = np.zeros(max(0, len(self.words) - RUN + 1), np.uint64)
        for offset in range(RUN):
            combined = combined * _ODD + self._word_hashes[offset : offset + len(combined)]
        return combined

    def telling_runs(self) -> np.ndarray:
        """The hashes of the runs with enough different words, not counting numbers."""
        telling = [
            len({word for word in self.words[start : start + RUN] if not word[0].isdigit()}) >= MIN_DIFFERENT_WORDS
            for start in range(len(self.words) - RUN + 1)
        ]
        return self.runs()[np.array(telling, bool)]

    def windows(self) -> np.ndarray:
        """Hashes of all windows of MIN_TOKENS tokens, [tokens - MIN_TOKENS + 1] uint64."""
        starts = np.arange(max(0, len(self.hashes) - MIN_TOKENS + 1))
        return self._stretches(starts, np.full(len(starts), MIN_TOKENS))

    def whole(self, frequency: Counter[int]) -> tuple[int, int, int, int]:
        """The row of :class:`Fingerprints`. Its window is the one that occurs in the fewest texts."""
        windows = self.windows().tolist()
        offset = min(range(len(windows)), key=lambda start: frequency[windows[start]])
        length = len(self.hashes)
        return windows[offset], offset, length, int(self._stretches(np.array([0]), np.array([length]))[0])

    def hold_one_of(self, whole: np.ndarray) -> bool:
        """Whether the text contains all tokens of one of the whole texts, consecutively."""
        windows = self.windows()
        places = np.flatnonzero(_among(windows, whole[:, 0]))
        if not len(places):
            return False
        first = np.searchsorted(whole[:, 0], windows[places], "left")
        counts = np.searchsorted(whole[:, 0], windows[places], "right") - first
        # a row for each position and each text that may be there
        rows = whole[np.repeat(first - np.r_[0, np.cumsum(counts)[:-1]], counts) + np.arange(counts.sum())]
        starts = np.repeat(places, counts) - rows[:, 1].astype(np.int64)
        lengths = rows[:, 2].astype(np.int64)
        inside = (starts >= 0) & (starts + lengths <= len(self.hashes))
        return bool((self._stretches(starts[inside], lengths[inside]) == rows[inside, 3]).any())

    def _stretches(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Hashes of ``lengths`` tokens from each of ``starts`` on, [n] uint64: sums of the tokens' hashes, each
        multiplied by a power of an odd number for its position (Karp and Rabin 1987).
        """
        n = len(self.hashes)
        sums = np.zeros(n + 1, np.uint64)
        np.cumsum(self.hashes * powers(n), out=sums[1:])
        return (sums[starts + lengths] - sums[starts]) * powers(n + 1, inverse=True)[starts]


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success; exits with 1 if the benchmarks cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m train.data.decontaminate", description=__doc__)
    parser.add_argument(
        "--folder", type=user_path, help="folder of the benchmarks' files (default: download from the Hub)"
    )
    args = parser.parse_args(arguments)
    try:
        found = fingerprints(text for texts in benchmark_texts(args.folder).values() for text in texts)
    except OSError as error:
        parser.exit(1, f"The benchmarks cannot be read: {error}\n")
    np.save(RUNS, found.runs)
    np.save(WHOLE_TEXTS, found.whole)
    print(f"Wrote {len(found.runs):,} runs to {RUNS} and {len(found.whole):,} whole texts to {WHOLE_TEXTS}.")
    return 0


def _among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Which of ``values`` are in ``ascending``, [n] bool."""
    found = np.searchsorted(ascending, values)
    found[found == len(ascending)] = 0
    return ascending[found] == values if len(ascending) else np.zeros(len(values), bool)


def _hashes(tokens: Sequence[str]) -> np.ndarray:
    return np.array(RMinHash.hash_token_sets([tokens])[0], np.uint64)


@lru_cache
def _fingerprints() -> Fingerprints:
    return Fingerprints(np.load(RUNS), np.load(WHOLE_TEXTS))


if __name__ == "__main__":
    sys.exit(main())
