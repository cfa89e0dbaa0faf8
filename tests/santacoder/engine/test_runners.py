"""The contract of runners, compared with the model without a cache."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from santacoder.engine.runner import Runner, Step
from santacoder.model import SantaCoder

N_SLOTS = 5


@pytest.fixture(scope="module")
def runner(make_runner: Callable[..., Runner]) -> Runner:
    return make_runner(n_slots=N_SLOTS)


@torch.no_grad()
def expected(model: SantaCoder, ids: list[int]) -> np.ndarray:
    return model(torch.tensor([ids]))[0].numpy()


def some_ids(chance: random.Random, length: int) -> list[int]:
    return [chance.randrange(400) for _ in range(length)]


def test_a_prompt_may_be_read_in_chunks_of_any_length(runner: Runner, model: SantaCoder) -> None:
    chance = random.Random(0)
    for _ in range(10):
        ids, start = some_ids(chance, chance.randint(1, 128)), 0
        slot = chance.randrange(N_SLOTS)
        while start < len(ids):
            length = chance.randint(1, len(ids) - start)
            n_logits = chance.randint(1, length)
            logits = runner.prefill(slot, ids[start : start + length], start, n_logits)
            start += length
            np.testing.assert_allclose(logits, expected(model, ids[:start])[-n_logits:], atol=1e-4)


def test_sequences_of_different_lengths_decode_together_in_any_slots(runner: Runner, model: SantaCoder) -> None:
    """Rows between those that decode keep their contents, whether they are in use or not."""
    chance = random.Random(1)
    texts = {slot: some_ids(chance, 100) for slot in range(N_SLOTS)}
    lengths = {slot: chance.randint(1, 60) for slot in range(N_SLOTS)}
    for slot, length in lengths.items():
        runner.prefill(slot, texts[slot][:length], 0, 1)
    for _ in range(60):
        slots = chance.sample(range(N_SLOTS), chance.randint(1, N_SLOTS))
        slots = [slot for slot in slots if lengths[slot] < 100]
        if not slots:
            continue
        logits = runner.decode([Step(slot, texts[slot][lengths[slot]], lengths[slot]) for slot in slots]).copy()
        for slot, row in zip(slots, logits, strict=True):
            lengths[slot] += 1
            np.testing.assert_allclose(row, expected(model, texts[slot][: lengths[slot]])[-1], atol=1e-4)


def test_a_full_slot_is_left_alone_by_its_neighbours(runner: Runner, model: SantaCoder) -> None:
    chance = random.Random(2)
    full, other = some_ids(chance, 128), some_ids(chance, 20)
    runner.prefill(1, full[:127], 0, 1)
    for slot in (0, 2):
        runner.prefill(slot, other[:10], 0, 1)
    np.testing.assert_allclose(runner.decode([Step(1, full[127], 127)])[0], expected(model, full)[-1], atol=1e-4)
    for position in range(10, 20):
        runner.decode([Step(0, other[position], position), Step(2, other[position], position)])
    last = runner.prefill(1, full[127:], 127, 1)[0]
    np.testing.assert_allclose(last, expected(model, full)[-1], atol=1e-4)


def test_what_was_copied_can_be_continued(runner: Runner, model: SantaCoder) -> None:
    chance = random.Random(3)
    ids, others = some_ids(chance, 40), some_ids(chance, 10)
    runner.prefill(0, ids, 0, 1)
    runner.copy(0, 3, 25)
    logits = runner.prefill(3, others, 25, 1)[0]
    np.testing.assert_allclose(logits, expected(model, ids[:25] + others)[-1], atol=1e-4)
    again = runner.prefill(0, others, 40, 1)[0]
    np.testing.assert_allclose(again, expected(model, ids + others)[-1], atol=1e-4)


def test_what_was_saved_goes_on_in_any_slot(runner: Runner, model: SantaCoder) -> None:
    chance = random.Random(3)
    for _ in range(5):
        ids, length = some_ids(chance, 60), chance.randint(1, 59)
        source, target = chance.randrange(N_SLOTS), chance.randrange(N_SLOTS)
        runner.prefill(source, ids[:length], 0, 1)
        saved = runner.save(source, length)
        for slot in (source, target):
            runner.prefill(slot, some_ids(chance, 80), 0, 1)
        runner.restore(target, saved)
        (row,) = runner.decode([Step(target, ids[length], length)])
        np.testing.assert_allclose(row, expected(model, ids[: length + 1])[-1], atol=1e-4)


def test_slots_keep_their_contents_whichever_decode_together(make_runner: Callable[..., Runner]) -> None:
    """Rows are exchanged where idle ones lie between them."""
    rng = random.Random(0)
    runner, alone = make_runner(n_slots=12), make_runner(n_slots=1)
    written: dict[int, list[int]] = {}
    for _ in range(20):
        slots = rng.sample(range(12), rng.randint(1, 5))
        for slot in slots:
            if slot not in written:
                written[slot] = [rng.randrange(100) for _ in range(rng.randint(1, 9))]
                runner.prefill(slot, written[slot], 0, 1)
        steps = [Step(slot, rng.randrange(100), len(written[slot])) for slot in slots]
        runner.decode(steps)
        for step in steps:
            written[step.slot].append(step.token_id)
    rows = np.array(runner.decode([Step(slot, 7, len(ids)) for slot, ids in written.items()]))
    expected = [np.array(alone.prefill(0, [*ids, 7], 0, 1))[0] for ids in written.values()]
    np.testing.assert_allclose(rows, expected, atol=1e-4)
