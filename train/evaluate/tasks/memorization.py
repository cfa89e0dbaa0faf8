"""How much of a model's output is copied from its training files, and how much of them it has memorized.

Prompts are excerpts of training files and of held-out files. A file counts as memorized if the greedy continuation
equals its next 50 tokens (Carlini et al., Quantifying Memorization Across Neural Language Models, 2023). Copies from
any training file are found with the attribution index.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from santacoder.attribution import Shards, Span
from santacoder.engine.engine import Engine
from santacoder.engine.request import CompletionRequest
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from train.data.pack import PackedData, load_packed
from train.evaluate.generate import complete

Split = Literal["train", "validation"]
SPLITS: dict[Split, str] = {"train": "training files", "validation": "held-out files"}
PROMPT_TOKENS = 128
FOLLOWING_TOKENS = 50


@dataclass(frozen=True)
class Excerpt:
    """A prompt from a file, and the text of the 50 tokens after it."""

    name: str
    language: str
    prompt_ids: tuple[int, ...]
    following: str


@dataclass(frozen=True)
class Written:
    """A continuation of an excerpt, and how much of it occurs in training files.

    ``longest`` is the length of the longest copied run in code tokens, 0 if none is long enough to be found;
    ``longest_uncommon`` excludes boilerplate. ``copied`` is the fraction of characters in copied runs. ``right`` is the
    fraction of the file's next 50 tokens, in characters, before the first difference.
    """

    excerpt: Excerpt
    text: str
    longest: int
    longest_uncommon: int
    copied: float
    right: float


def excerpts(folder: Path, split: Split, n: int, seed: int) -> list[Excerpt]:
    """Choose ``n`` excerpts of a packed folder, at random positions of files drawn with weights by size.

    Raises:
        UserError: the folder contains no packed data, or no file of the split is long enough.
    """
    data = load_packed(folder)
    needed = PROMPT_TOKENS + FOLLOWING_TOKENS
    table = pq.read_table(folder / "documents.parquet", filters=[("split", "=", split)]).to_pylist()
    documents = [document for document in table if document["length"] > needed]
    if not documents:
        raise UserError(f"{folder} has no {SPLITS[split]} of more than {needed} tokens.")
    rng = random.Random(seed)
    drawn = rng.choices(documents, weights=[document["length"] - needed for document in documents], k=n)
    return [_excerpt(data, split, document, rng) for document in drawn]


def write_on(engine: Engine, index: Shards, asked: Sequence[Excerpt], sampling: SamplingParams) -> list[Written]:
    """Continue each excerpt with the model, and look up the texts.

    Raises:
        RuntimeError: the model could not be run.
        AttributionError: the corpus has changed since it was indexed.
    """
    prefixes = [engine.tokenizer.decode(list(excerpt.prompt_ids)) for excerpt in asked]
    requests = (
        (number, CompletionRequest(prefix, None, _seeded(sampling, number), prefix_ids=excerpt.prompt_ids))
        for number, (excerpt, prefix) in enumerate(zip(asked, prefixes, strict=True))
    )
    return [look_up(index, asked[number], text) for number, text in complete(engine, requests)]


def look_up(index: Shards, excerpt: Excerpt, text: str) -> Written:
    """Find the parts of ``text``, the continuation of ``excerpt``, that occur in the indexed files."""
    spans = index.find(text, excerpt.language)
    right = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, excerpt.following, strict=False)))
    return Written(
        excerpt,
        text,
        longest=max((span.tokens for span in spans), default=0),
        longest_uncommon=max((span.tokens for span in spans if not span.boilerplate), default=0),
        copied=_covered(spans) / max(1, len(text)),
        right=right / len(excerpt.following),
    )


def cut(written: Written, index: Shards, tokenizer: Tokenizer, n_tokens: int) -> Written:
    """The same measurement for the first ``n_tokens`` tokens of the text."""
    return look_up(index, written.excerpt, tokenizer.decode(tokenizer.encode(written.text)[:n_tokens]))


def _excerpt(data: PackedData, split: Split, document: dict, rng: random.Random) -> Excerpt:
    tokens = data.train if split == "train" else data.validation
    # the last token of a document is end-of-text
    start = document["start"] + rng.randrange(document["length"] - PROMPT_TOKENS - FOLLOWING_TOKENS)
    ids = np.asarray(tokens[start : start + PROMPT_TOKENS + FOLLOWING_TOKENS]).tolist()
    return Excerpt(
        f"{document['package']}/{document['path']}@{start - document['start']}",
        document["language"],
        tuple(ids[:PROMPT_TOKENS]),
        data.tokenizer.decode(ids[PROMPT_TOKENS:]),
    )


def _seeded(sampling: SamplingParams, number: int) -> SamplingParams:
    return replace(sampling, seed=(sampling.seed or 0) + number)


def _covered(spans: Sequence[Span]) -> int:
    """The number of characters in at least one span; ``spans`` are sorted by position."""
    covered = end = 0
    for span in spans:
        covered += span.end - max(end, span.start)
        end = span.end
    return covered
