"""The scores computed during training."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from tests.train.conftest import TINY
from train.core.step import prepare
from train.data.pack import load_packed
from train.loop import ALONE
from train.run.validation import Question, choose_questions, exact_match, sample, validation_loss


@torch.no_grad()
@pytest.mark.parametrize("micro_batch_size", [0, 3])
def test_loss_and_bits_per_byte_are_those_of_the_windows(packed: Path, micro_batch_size: int) -> None:
    data = load_packed(packed)
    config = dataclasses.replace(TINY, micro_batch_size=micro_batch_size)
    model = SantaCoder(config.model_config(data.tokenizer.vocab_size))
    loss, bits_per_byte = validation_loss(prepare(model, config, ALONE), data, config, ALONE)
    length = config.sequence_length
    count = min(config.validation_batches * config.batch_size, (len(data.validation) - 1) // length)
    starts = np.linspace(0, len(data.validation) - 1 - length, count).astype(int)
    nats, n_bytes = 0.0, 0
    for start in starts:
        window = torch.from_numpy(data.validation[start : start + length + 1].astype(np.int64))
        nats += F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="sum").item()
        n_bytes += sum(len(data.tokenizer.decode_bytes([i])) for i in window[1:].tolist() if i not in
                       data.tokenizer.special_ids)  # fmt: skip
    assert loss == pytest.approx(nats / (count * length), rel=1e-5)
    assert bits_per_byte == pytest.approx(nats / math.log(2) / n_bytes, rel=1e-5)


def test_questions_are_lines_of_held_out_files_and_always_the_same(packed: Path) -> None:
    data = load_packed(packed)
    text = data.tokenizer.decode(np.asarray(data.validation).tolist())
    questions = choose_questions(data, 10)
    assert questions == choose_questions(data, 10)
    assert 3 <= len(questions) <= 10
    for question in questions:
        assert question.prefix + question.line + question.suffix in text
        assert question.line == question.line.strip() and "\n" not in question.line
        assert question.suffix.startswith("\n") or not question.suffix


def test_a_model_that_knows_the_answer_matches(tokenizer: Tokenizer) -> None:
    """The question is the model's own output, or another line."""
    model = random_model()
    prompt, text = sample(model, tokenizer, Question("def f(x):\n", "return x", "\n"))
    assert prompt == "def f(x):" and text
    wrong = Question("def f(x):\n    ", "never written by a random model", "\n")
    assert exact_match(model, tokenizer, [wrong]) == 0
