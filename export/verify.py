"""Verification of a graph against PyTorch in fp32 on real code."""

from __future__ import annotations

import math
import sysconfig
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from santacoder.engine.runner import Runner, Step
from santacoder.errors import CheckpointError
from santacoder.linear import linear
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer

# part of every Python, and held out of the embedded models' training data
_MODULES = ("argparse", "configparser", "contextlib", "csv", "functools")
_CHUNK = 256
_DECODED = 32


@dataclass(frozen=True)
class Verification:
    """The comparison of a graph with the model. ``logit_error`` is the largest difference of a logit, ``agreement`` the
    fraction of positions with the same most likely token, ``decode_tokens_per_second`` the speed of a single stream,
    ``bytes`` the size of the files.
    """

    precision: str
    bytes: int
    logit_error: float
    agreement: float
    bits_per_byte: float
    bits_per_byte_of_reference: float
    decode_tokens_per_second: float

    @property
    def rise(self) -> float:
        """The relative increase of bits per byte."""
        return self.bits_per_byte / self.bits_per_byte_of_reference - 1

    def as_dict(self) -> dict[str, float | str]:
        return asdict(self)


def validation_texts(files: Sequence[Path]) -> list[str]:
    """The texts of ``files``; by default, of a few modules of Python's standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = files or [library / f"{module}.py" for module in _MODULES]
    return [path.read_text(encoding="utf-8") for path in paths]


class Reference(NamedTuple):
    """The model's results on the beginning of each text: ids [T], and hidden states [T, n_embd], whose product with
    ``output_weight`` is the logits. The rest of the model can be freed.
    """

    ids: list[list[int]]
    hidden_states: list[Tensor]
    output_weight: Tensor
    n_bytes: int

    @classmethod
    def of(cls, model: SantaCoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Reference:
        ids = [tokenizer.encode(text)[: model.config.n_positions] for text in texts]
        if any(len(of_text) < 2 for of_text in ids):
            raise CheckpointError("A file to compare the graphs on has fewer than two tokens; name longer ones.")
        with torch.inference_mode():
            hidden_states = [model.transformer(torch.tensor([of_text]))[0] for of_text in ids]
        n_bytes = sum(len(tokenizer.decode_bytes(of_text[1:])) for of_text in ids)
        return cls(ids, hidden_states, model.output_weight, n_bytes)

    def logits(self, text: int, start: int, end: int) -> Tensor:
        """The logits after the tokens from ``start`` to ``end`` of a text, [end - start, V]."""
        return linear(self.hidden_states[text][start:end], self.output_weight).float()


@torch.inference_mode()
def verify(runner: Runner, reference: Reference, size: int) -> Verification:
    """Compare ``runner``, whose files take ``size`` bytes, with the model."""
    errors, agreed = [], 0
    nats = {"runner": 0.0, "model": 0.0}
    for text, ids in enumerate(tqdm(reference.ids, desc=f"{runner.precision}: verifying", unit="text")):
        for start, got in _read_and_write(runner, ids):
            end = start + len(got)
            expected = reference.logits(text, start, end)
            errors.append(float((got - expected).abs().max()))
            agreed += int((got.argmax(dim=-1) == expected.argmax(dim=-1)).sum())
            nats["runner"] += _nats(got, ids[start + 1 : end + 1])
            nats["model"] += _nats(expected, ids[start + 1 : end + 1])
    return Verification(
        precision=runner.precision,
        bytes=size,
        logit_error=max(errors),
        agreement=agreed / sum(map(len, reference.ids)),
        bits_per_byte=nats["runner"] / math.log(2) / reference.n_bytes,
        bits_per_byte_of_reference=nats["model"] / math.log(2) / reference.n_bytes,
        decode_tokens_per_second=_decode_speed(runner),
    )


def _read_and_write(runner: Runner, ids: list[int]) -> Iterator[tuple[int, Tensor]]:
    """Yield the start of each chunk and the logits after each of its tokens: first a prompt, then the last tokens one
    by one, as in generation. All logits at once would need as much memory as a small model.
    """
    written = max(1, len(ids) - _DECODED)
    for start in range(0, written, _CHUNK):
        chunk = ids[start : min(start + _CHUNK, written)]
        yield start, torch.as_tensor(runner.prefill(0, chunk, start, len(chunk))).cpu()
    for position in range(written, len(ids)):
        yield position, torch.as_tensor(runner.decode([Step(0, ids[position], position)])).cpu()


def _nats(logits: Tensor, following: list[int]) -> float:
    """The sum of the negative log-likelihoods of the following tokens; the very last position has none."""
    if not following:
        return 0.0
    loss = torch.nn.functional.cross_entropy(logits[: len(following)], torch.tensor(following), reduction="sum")
    return float(loss)


def _decode_speed(runner: Runner) -> float:
    """Tokens per second after a context of 128 tokens (if there are enough positions), from the tenth percentile of the
    step times, which depends little on other load.
    """
    length = min(128, runner.n_positions // 2)
    runner.prefill(0, [0] * length, 0, 1)
    seconds = []
    for position in range(length, min(length + _DECODED, runner.n_positions)):
        started = time.perf_counter()
        runner.decode([Step(0, 0, position)])
        seconds.append(time.perf_counter() - started)
    return 1 / float(np.percentile(seconds, 10))
