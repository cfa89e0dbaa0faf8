"""Sampling on the device gives the same texts as sampling on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from santacoder.engine.engine import Engine
from santacoder.engine.events import Event, PromptToken, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Logits, Step
from santacoder.engine.torch_runner import TorchRunner
from santacoder.model import SantaCoder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model


class AsOnAGpu(TorchRunner):
    """A runner that returns logits as tensors, as on a GPU."""

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        return torch.from_numpy(super().prefill(slot, token_ids, start, n_logits))

    def decode(self, steps: Sequence[Step]) -> Logits:
        return torch.as_tensor(super().decode(steps))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> SantaCoder:
    return random_model(vocab_size=tokenizer.vocab_size + 50)


def serve(runner: TorchRunner, tokenizer: Tokenizer) -> list[list[Event]]:
    engine = Engine(runner, tokenizer)
    requests = [
        CompletionRequest("def f(a, b):\n" * (1 + seed % 4), echo=seed % 3 == 0, sampling=params)
        for seed in range(10)
        for params in [
            SamplingParams(temperature=(0, 1.0, 0.5)[seed % 3], top_k=(0, 5)[seed % 2], seed=seed, top_logprobs=2)
        ]
    ]
    streams = [engine.submit(request) for request in requests]
    events = [list(stream) for stream in streams]
    engine.close()
    return events


def test_texts_and_log_probabilities_are_the_same(model: SantaCoder, tokenizer: Tokenizer) -> None:
    expected, got = (serve(runner(model), tokenizer) for runner in (TorchRunner, AsOnAGpu))
    for theirs, mine in zip(expected, got, strict=True):
        assert [event.text for event in mine] == [event.text for event in theirs]
        assert mine[-1] == theirs[-1]
        for first, second in zip(theirs[:-1], mine[:-1], strict=True):
            assert isinstance(first, PromptToken | TokenEvent) and isinstance(second, PromptToken | TokenEvent)
            assert first.id == second.id and first.logprob == pytest.approx(second.logprob, abs=1e-4)
            assert [token_id for token_id, _ in first.top] == [token_id for token_id, _ in second.top]
