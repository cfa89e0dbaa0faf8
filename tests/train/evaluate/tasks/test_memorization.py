"""A model that has memorized some files is detected; an untrained model is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from santacoder import checkpoints
from santacoder.attribution import Shards
from tests.conftest import random_model
from train.data.index import build_index, packed_shards
from train.data.pack import load_packed
from train.evaluate.__main__ import main
from train.evaluate.results.result import read_results
from train.evaluate.tasks.memorization import Excerpt, excerpts, look_up

N_PROMPTS = 4


@pytest.fixture(scope="module")
def index(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the training files of ``packed``, without held-out files."""
    folder = tmp_path_factory.mktemp("attribution")
    build_index(packed_shards(packed), folder)
    return folder


@pytest.fixture(scope="module")
def learned(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a model that has memorized the excerpts that the command will use."""
    data = load_packed(packed)
    torch.manual_seed(0)
    model = random_model(vocab_size=data.tokenizer.vocab_size, n_positions=256, n_layer=2).train()
    asked = excerpts(packed, "train", N_PROMPTS, seed=0)
    rows = torch.tensor([[*one.prompt_ids, *data.tokenizer.encode(one.following)][:178] for one in asked])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        logits = model(rows[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    store = tmp_path_factory.mktemp("learned")
    checkpoints.publish(model.eval(), data.tokenizer, "test/learned", "main", dtype=torch.float32, store=store)
    return store


@pytest.mark.slow
def test_what_was_learned_by_heart_is_told(
    packed: Path, index: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["memorization", "test/learned", "--store", str(learned), "--data", str(packed), "--index", str(index)]
    arguments += ["--prompts", str(N_PROMPTS), "--max-new-tokens", "60", "--temperature", "0", "--device", "cpu"]
    assert main([*arguments, "--output", str(tmp_path), "--plot", str(tmp_path / "runs.png")]) == 0
    table = capsys.readouterr().out
    assert "| training files | 4 | 100.0% | 100.0% |" in table
    scores = {(result.benchmark, result.language): result for result in read_results(tmp_path)}
    assert scores["memorization", "training files"].scores()["continued exactly"].value == 1
    assert scores["memorization", "held-out files"].scores()["continued exactly"].value == 0
    assert (tmp_path / "runs.png").stat().st_size > 1000


def test_a_copy_is_measured(packed: Path, index: Path) -> None:
    data = load_packed(packed)
    (asked,) = excerpts(packed, "train", 1, seed=1)
    shards = Shards(index)
    source = data.tokenizer.decode(data.train[:400].tolist())
    copied = look_up(shards, Excerpt("x", "python", asked.prompt_ids, source), source)
    assert copied.right == 1 and copied.longest >= 50 and copied.copied > 0.8
    invented = look_up(shards, asked, "zebra = " + " + ".join(f"z{number}" for number in range(60)))
    assert invented.longest == 0 and invented.copied == 0 and invented.right < 0.5


def test_excerpts_are_of_their_split(packed: Path) -> None:
    data = load_packed(packed)
    held_out = {package.name for package in data.packages if package.split == "validation"}
    for split in ("train", "validation"):
        for excerpt in excerpts(packed, split, 20, seed=3):
            is_held_out = any(excerpt.name.startswith(f"{package}/") for package in held_out)
            assert is_held_out == (split == "validation") and len(excerpt.prompt_ids) == 128


def test_problems_are_sentences(
    packed: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["memorization", "test/learned", "--store", str(learned)]
    assert main([*arguments, "--data", str(packed), "--index", str(tmp_path)]) == 2
    assert "contains no attribution index" in capsys.readouterr().err
    few = ["--data", str(packed), "--index", str(tmp_path), "--max-new-tokens", "49"]
    assert main([*arguments, *few]) == 2
    assert "next 50 tokens: set --max-new-tokens to 50 or more, not 49." in capsys.readouterr().err
