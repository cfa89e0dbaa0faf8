"""The model in the repository: there, small, described, and worth having."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.sampling import SamplingParams
from train.evaluate.bits_per_byte import measure

MINI = "santacoder/mini"
# held out of its training, and in every Python
MODULES = ["argparse.py", "configparser.py", "contextlib.py", "csv.py", "functools.py"]


def test_it_is_small_and_described() -> None:
    snapshot = checkpoints.resolve(MINI)
    assert sum(path.stat().st_size for path in snapshot.iterdir()) <= 16_000_000
    card = (snapshot / "README.md").read_text()
    assert "## Data" in card and "## Limits" in card
    (commit,) = checkpoints.log(MINI)
    assert commit.tokens and commit.validation_loss


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


def test_it_predicts_code_it_has_not_seen() -> None:
    model, tokenizer = checkpoints.load(MINI)
    library = Path(sysconfig.get_path("stdlib"))
    score = measure(model, tokenizer, [(library / module).read_bytes() for module in MODULES])
    assert score.model < 1.5
