"""One training step, computed in different ways: with micro-batches, checkpointing, compilation, sharding, and in three
precisions.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from santacoder.fim import FimTransform
from santacoder.model import SantaCoder
from tests.train.conftest import TINY
from train.config import TrainConfig
from train.core.batches import Batches, prefetched
from train.core.loss import IGNORED_TARGET
from train.core.optimizer import learning_rate, make_optimizers
from train.core.step import NotFinite, prepare, training_step
from train.data.pack import Documents, load_packed
from train.loop import ALONE
from train.model.starting_point import starting_model
from train.run.saved_states import tensors


def config(**changes: object) -> TrainConfig:
    return dataclasses.replace(TINY, optimizer="adamw", fim_rate=0.5, **changes)  # type: ignore[arg-type]


def batches(packed: Path, settings: TrainConfig) -> Batches:
    data = load_packed(packed)
    fim = FimTransform(data.tokenizer, settings.fim_rate, settings.spm_rate)
    return Batches(data.train, settings.sequence_length, settings.batch_size, settings.seed, fim)


def losses(packed: Path, settings: TrainConfig, steps: int = 4) -> list[float]:
    """The losses of the first steps."""
    tokenizer = load_packed(packed).tokenizer
    training = prepare(starting_model(settings, tokenizer, Path()), settings, ALONE)
    source = batches(packed, settings)
    return [training_step(training, source.at(step), step, settings, ALONE)[0] for step in range(steps)]


@pytest.mark.parametrize(
    "changes", [{"micro_batch_size": 1}, {"micro_batch_size": 3}, {"activation_checkpointing": True}]
)
def test_parts_and_recomputation_change_nothing(packed: Path, changes: dict[str, object]) -> None:
    assert losses(packed, config(**changes)) == pytest.approx(losses(packed, config()), rel=2e-6)


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_compiled_blocks_compute_the_same(packed: Path) -> None:
    assert losses(packed, config(compile=True)) == pytest.approx(losses(packed, config()), rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_follows_fp32(packed: Path, precision: str) -> None:
    assert losses(packed, config(precision=precision)) == pytest.approx(losses(packed, config()), abs=0.02)


def test_a_step_is_pytorchs_own(packed: Path) -> None:
    """Cross-entropy over all logits and an unfused AdamW, written out."""
    settings = config()
    source = batches(packed, settings)
    model = starting_model(settings, load_packed(packed).tokenizer, Path())
    decayed = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, foreach=False, fused=False)
    expected = []
    for step in range(4):
        inputs, targets = source.at(step)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORED_TARGET)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        optimizer.step()
        optimizer.zero_grad()
        expected.append(loss.item())
    assert losses(packed, settings) == pytest.approx(expected, rel=1e-5)


def test_dropout_depends_on_seed_and_step_alone(packed: Path) -> None:
    dropped = losses(packed, config(dropout=0.3))
    torch.rand(7)
    assert losses(packed, config(dropout=0.3)) == dropped
    assert losses(packed, config()) != dropped


def test_a_loss_that_is_no_number_leaves_the_model_alone(packed: Path) -> None:
    settings = config()
    model = starting_model(settings, load_packed(packed).tokenizer, Path())
    training = prepare(model, settings, ALONE)
    with torch.no_grad():
        model.transformer.ln_f.bias[0] = math.nan
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(NotFinite, match="The loss is not a number"):
        training_step(training, batches(packed, settings).at(0), 0, settings, ALONE)
    assert all(torch.equal(before[name].nan_to_num(), now.nan_to_num()) for name, now in model.state_dict().items())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_parameter_has_one_optimizer_and_vectors_no_decay(optimizer: str) -> None:
    settings = dataclasses.replace(TINY, optimizer=optimizer)
    model = SantaCoder(settings.model_config(300))
    groups = [group for each in make_optimizers(model, settings) for group in each.param_groups]
    held = [parameter for group in groups for parameter in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.parameters()} and len(held) == len(list(model.parameters()))
    for group in groups:
        assert all((p.dim() == 2) == (group["weight_decay"] > 0) for p in group["params"])


def test_workers_prepare_the_same_batches(packed: Path) -> None:
    source = batches(packed, config())
    for step, (inputs, targets) in enumerate(prefetched(source, range(5), range(1, 3), workers=2, pin_memory=False)):
        expected_inputs, expected_targets = source.at(step)
        assert torch.equal(inputs, expected_inputs[1:3]) and torch.equal(targets, expected_targets[1:3])


def test_a_stable_rate_falls_to_nothing_at_an_end_that_may_come_later() -> None:
    settings = config(schedule="wsd", steps=1000)
    rates = [learning_rate(step, settings) for step in range(1000)]
    assert rates[20:700] == [settings.learning_rate] * 680
    assert rates[850] == pytest.approx(settings.learning_rate * (1 - 0.5**0.5))
    assert 0 < rates[-1] < settings.learning_rate / 500
    later = settings.continued_with({"steps": 2000})
    assert [learning_rate(step, later) for step in range(700)] == rates[:700]
    with pytest.raises(ValueError, match="was started with steps 1000"):
        config(steps=1000).continued_with({"steps": 2000})


@pytest.mark.parametrize("steps", [1100, 2000, 500])
def test_another_end_leaves_the_warm_up_as_it_was(steps: int) -> None:
    settings = config(schedule="wsd", steps=1000, warmup_fraction=0.0505, cooldown_fraction=0.0)
    other = settings.continued_with({"steps": steps}).continued_with({"steps": steps + 7})
    rates = [learning_rate(step, settings) for step in range(500)]
    assert [learning_rate(step, other) for step in range(500)] == rates and rates[48] < rates[49] == rates[499]


@pytest.mark.parametrize("shape", ["sqrt", "linear", "square"])
def test_a_cooldown_begins_and_ends_where_it_should(shape: str) -> None:
    settings = config(schedule="wsd", steps=1000, cooldown_fraction=0.5, cooldown_shape=shape)
    rates = [learning_rate(step, settings) for step in range(1000)]
    assert rates[20:501] == [settings.learning_rate] * 481 and rates[501] < settings.learning_rate
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[501:]))
    assert 0 < rates[-1] < settings.learning_rate / 400
    of_half = {"sqrt": 1 - 0.5**0.5, "linear": 0.5, "square": 0.25}[shape]
    assert rates[750] == pytest.approx(settings.learning_rate * of_half)
    without = settings.continued_with({"cooldown_fraction": 0.0})
    assert learning_rate(999, without) == settings.learning_rate


def test_a_cooldown_may_end_above_zero() -> None:
    settings = config(
        schedule="wsd", steps=1000, cooldown_fraction=0.5, cooldown_shape="linear", final_rate_fraction=0.25
    )
    rates = [learning_rate(step, settings) / settings.learning_rate for step in range(1000)]
    assert rates[500] == 1 and rates[750] == pytest.approx(0.625) and rates[999] == pytest.approx(0.25, abs=0.002)
    assert learning_rate(999, settings.continued_with({"final_rate_fraction": 0.0})) < rates[999] / 100


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_kind_of_parameter_has_its_own_rate(packed: Path, optimizer: str) -> None:
    """The first step of AdamW and Muon moves a parameter by about its learning rate."""
    settings = dataclasses.replace(
        TINY, optimizer=optimizer, warmup_fraction=0.0, weight_decay=0.0, learning_rate=1e-3,
        embedding_learning_rate=1e-2, vector_learning_rate=1e-5,
    )  # fmt: skip
    training = prepare(starting_model(settings, load_packed(packed).tokenizer, Path()), settings, ALONE)
    before = {name: parameter.detach().clone() for name, parameter in training.model.named_parameters()}
    training_step(training, batches(packed, settings).at(0), 0, settings, ALONE)
    moved = {name: (p.detach() - before[name]).abs().max().item() for name, p in training.model.named_parameters()}
    assert moved["transformer.wte.weight"] == pytest.approx(1e-2, rel=0.1)
    assert moved["transformer.ln_f.weight"] == pytest.approx(1e-5, rel=0.1)
    assert 2e-4 < moved["transformer.h.0.mlp.c_fc.weight"] < 5e-3


def test_a_half_life_in_tokens_holds_for_any_batch() -> None:
    small = config(beta2_half_life=1024.0, batch_size=4, sequence_length=64)
    large = config(beta2_half_life=1024.0, batch_size=16, sequence_length=64)
    assert small.second_moment_decay**4 == pytest.approx(0.5) and large.second_moment_decay == pytest.approx(0.5)
    (adamw,) = make_optimizers(SantaCoder(small.model_config(300)), small)
    assert {group["betas"][1] for group in adamw.param_groups} == {small.second_moment_decay}
    assert config().second_moment_decay == 0.95


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", ["transformer.h.1.mlp.c_fc.weight", "transformer.wpe.weight", "transformer.ln_f.bias"])
def test_after_an_overflow_no_optimizer_steps(packed: Path, name: str, value: float) -> None:
    """An overflow in Muon's matrices, or in AdamW's embeddings and vectors."""
    settings = dataclasses.replace(TINY, optimizer="muon", precision="fp16")
    training = prepare(starting_model(settings, load_packed(packed).tokenizer, Path()), settings, ALONE)
    source = batches(packed, settings)
    training_step(training, source.at(0), 0, settings, ALONE)
    before = {key: tensor.clone() for key, tensor in tensors(training).items()}
    hook = training.model.get_parameter(name).register_hook(lambda gradient: torch.full_like(gradient, value))
    training_step(training, source.at(1), 1, settings, ALONE)
    hook.remove()
    after = tensors(training)
    assert after.pop("scaler.scale") == before.pop("scaler.scale") / 2
    assert after.pop("scaler.growth_tracker") == 0 and before.pop("scaler.growth_tracker") == 1
    assert after.keys() == before.keys() and all(torch.equal(after[key], before[key]) for key in before)
    training_step(training, source.at(2), 2, settings, ALONE)
    moved = [key for key, tensor in tensors(training).items() if key in before and not torch.equal(tensor, before[key])]
    assert {key.split(".")[0] for key in moved} == {"model", "optimizer"}
    parameters = {parameter for parameter, _ in training.model.named_parameters()}
    assert {f"model.{parameter}" for parameter in parameters} <= set(moved)


def test_balanced_batches_have_as_many_sequences_of_each_language(packed: Path) -> None:
    data = load_packed(packed)
    starts = np.array([0, len(data.train) // 10, len(data.train) // 2])
    documents = Documents(starts, np.array([2, 0, 1], dtype=np.int8), ("java", "javascript", "python"))
    fim = FimTransform(data.tokenizer, 0.0)
    source = Batches(data.train, 16, 3, 0, fim, documents, balanced=True)
    n_of_python = sum(start * 16 < starts[1] for start in range(source.n_windows))
    seen = [source.windows(step) for step in range(n_of_python)]
    for windows in seen:
        assert documents.at(np.array(windows) * 16).tolist() == [1, 2, 0]
    # an epoch of the smallest language has each of its windows once
    assert sorted(windows[2] for windows in seen) == list(range(n_of_python))
    assert [source.windows(step) for step in range(n_of_python)] == seen
    assert documents.languages_from(int(starts[1]) - 1, 2) == ["python", "java"]


def test_syntax_nodes_are_cut_by_the_documents_language(packed: Path) -> None:
    data = load_packed(packed)
    assert set(data.documents().languages) == {"python"}
    settings = config(node_rate=1.0)
    calls: list[str] = []

    def cuts(text: str, language: str, rng: np.random.Generator) -> tuple[int, int]:
        calls.append(language)
        return 0, len(text)

    fim = FimTransform(data.tokenizer, 1.0, node_rate=1.0, node_cuts=cuts)
    Batches(data.train, settings.sequence_length, 4, 0, fim, data.documents()).at(0)
    assert set(calls) == {"python"}
