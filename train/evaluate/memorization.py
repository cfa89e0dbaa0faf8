"""How much of what a model writes stands in its training files, and how much of them it knows by heart.

Prompts are cut from training files and from held-out files. What a model knows by heart it goes on with as the file
does: greedily, for 50 tokens (Carlini et al., Quantifying Memorization Across Neural Language Models, 2023). What it
copies from anywhere is looked up in the attribution index of its training files.
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
    """Tokens of a file to start from, and the text of the 50 tokens behind them."""

    name: str
    language: str
    prompt_ids: tuple[int, ...]
    following: str


@dataclass(frozen=True)
class Written:
    """What was written after an excerpt, and what of it stands in training files.

    ``longest`` is the longest run, in code tokens, and 0 where none is long enough to be found; ``longest_uncommon``
    leaves boilerplate out. ``copied`` is the share of characters within runs, ``right`` that of the characters of the
    file's next 50 tokens until the first that differs.
    """

    excerpt: Excerpt
    text: str
    longest: int
    longest_uncommon: int
    copied: float
    right: float


def excerpts(folder: Path, split: Split, n: int, seed: int) -> list[Excerpt]:
    """``n`` excerpts of a packed folder, from anywhere in files drawn at random, by their size.

    Raises:
        UserError: the folder holds no packed data, or no file of that split that is long enough.
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
    """Let the model go on after each excerpt, and look up what it wrote.

    Raises:
        RuntimeError: the model could not be run.
        AttributionError: the corpus was changed since it was indexed.
    """
    prefixes = [engine.tokenizer.decode(list(excerpt.prompt_ids)) for excerpt in asked]
    requests = (
        (number, CompletionRequest(prefix, None, _seeded(sampling, number), prefix_ids=excerpt.prompt_ids))
        for number, (excerpt, prefix) in enumerate(zip(asked, prefixes, strict=True))
    )
    return [look_up(index, asked[number], text) for number, text in complete(engine, requests)]


def look_up(index: Shards, excerpt: Excerpt, text: str) -> Written:
    """What of ``text``, written after ``excerpt``, stands in the indexed files."""
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
    """``written`` as if the model had stopped after ``n_tokens``."""
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
    """Characters within at least one span; ``spans`` are in the order of the text."""
    covered = end = 0
    for span in spans:
        covered += span.end - max(end, span.start)
        end = span.end
    return covered
