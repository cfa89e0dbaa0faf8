"""The models in the repository exist, and are small, described, evaluated and useful."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.loader import open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.experiments import EXPERIMENTS, experiment
from santacoder.sampling import SamplingParams
from train.embedded.recipe import MINI, NANO, PRETRAINING
from train.evaluate.tasks.bits_per_byte import measure

BRANCHES = ["main" if branch == "final" else branch for branch in EXPERIMENTS]
# held out of the training of mini, and in every Python
MODULES = ["contextlib.py", "csv.py"]


def files(repo: str) -> list[Path]:
    return list((checkpoints.DEFAULT_STORE / f"models--{repo.replace('/', '--')}").rglob("*"))


def test_what_mini_continues_from_is_there_with_its_card() -> None:
    assert set(checkpoints.branches(MINI)) == {"main", PRETRAINING}
    card = (checkpoints.resolve(MINI) / "README.md").read_text()
    base = f"{MINI}@{checkpoints.resolve(MINI, PRETRAINING).name}"
    assert f"The training data of {base}, listed in its card" in card
    assert "| package |" in (checkpoints.resolve(MINI, PRETRAINING) / "README.md").read_text()


@pytest.mark.parametrize(("repo", "branches"), [(NANO, BRANCHES), (MINI, ["main"])])
def test_they_are_there_described_and_measured(repo: str, branches: list[str]) -> None:
    assert set(branches) <= set(checkpoints.branches(repo))
    for branch in branches:
        snapshot = checkpoints.resolve(repo, branch)
        card = (snapshot / "README.md").read_text()
        assert all(heading in card for heading in ("## Data", "## Limits", "## Licence", "## Scores", "## Training"))
        benchmarks = {score.benchmark for score in checkpoints.read_scores(snapshot)}
        assert {"bits-per-byte", "infilling", "bodies"} <= benchmarks
        assert (snapshot / "onnx" / "model_int8.onnx").is_file()
        commits = checkpoints.log(repo, branch)
        assert len(commits) > 1 and all(commit.tokens and commit.validation_loss for commit in commits)
        steps = [commit.step for commit in commits if commit.step is not None]
        assert len(set(steps)) == len(commits)


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_has_the_attention_of_its_experiment(branch: str) -> None:
    the_experiment = experiment(branch)
    assert the_experiment is not None
    assert checkpoints.read_config(checkpoints.resolve(NANO, branch)).multi_query is the_experiment.multi_query


def test_final_had_twice_the_steps() -> None:
    steps = {branch: checkpoints.log(NANO, branch)[0].step for branch in BRANCHES}
    (once,) = {steps[branch] for branch in BRANCHES if branch != "main"}
    assert once and steps["main"] == 2 * once


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in files(MINI) if path.is_file()) <= 90_000_000
    assert sum(path.stat().st_size for path in files(NANO) if path.is_file()) <= 8 * 8_000_000


@torch.no_grad()
@pytest.mark.parametrize("prompt", ["import os\n\n\ndef ", "class Stack:\n    def __init__(self, items):"])
def test_transformers_writes_the_same(prompt: str) -> None:
    model, tokenizer = checkpoints.load(MINI)
    engine = Engine(TorchRunner(model), tokenizer)
    request = CompletionRequest(prompt, sampling=SamplingParams(temperature=0, max_new_tokens=40))
    ids = [event.id for event in engine.submit(request) if isinstance(event, TokenEvent)]
    engine.close()
    twin = AutoModelForCausalLM.from_pretrained(
        MINI, revision="main", cache_dir=checkpoints.DEFAULT_STORE, dtype=torch.float32
    )
    prompt_ids = torch.tensor([tokenizer.encode(prompt)])
    expected = twin.generate(
        prompt_ids,
        max_new_tokens=40,
        do_sample=False,
        pad_token_id=tokenizer.end_of_text_id,
        suppress_tokens=list(tokenizer.fim_ids),
    )
    assert ids == expected[0, prompt_ids.shape[1] :].tolist()


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_branch_writes_something(branch: str) -> None:
    engine, notices = open_engine(checkpoints.resolve(NANO, branch), device="cpu", runner="onnx")
    try:
        sampling = SamplingParams(temperature=0, max_new_tokens=8)
        events = list(engine.submit(CompletionRequest("def main(", sampling=sampling)))
        assert events and not notices
    finally:
        engine.close()


@pytest.mark.slow
def test_mini_predicts_code_it_has_not_seen() -> None:
    model, tokenizer = checkpoints.load(MINI)
    library = Path(sysconfig.get_path("stdlib"))
    score = measure(model, tokenizer, [(library / module).read_bytes() for module in MODULES])
    assert score.model < 1.5
