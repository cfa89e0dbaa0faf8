"""Other software reads what ``publish`` writes, and generates the same tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

PROMPTS = ["def f(x):\n    return", "import os\n", "class A:\n    def __init__(self, n=12):\n", "x"]
N_TOKENS = 40


@pytest.fixture(scope="module", params=[True, False], ids=["multi-query", "multi-head"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """The snapshot of a model whose embedding has more rows than there are tokens."""
    store = tmp_path_factory.mktemp("published")
    model = random_model(7, multi_query=request.param)
    checkpoints.publish(model, tokenizer, "test/read", dtype=torch.float32, store=store)
    return checkpoints.resolve("test/read", store=store)


def ours(folder: Path, prompt: str) -> list[int]:
    """Greedy tokens of the engine, up to end-of-text."""
    model, tokenizer = checkpoints.load(folder)
    engine = Engine(TorchRunner(model), tokenizer)
    sampling = SamplingParams(temperature=0, max_new_tokens=N_TOKENS)
    events = list(engine.submit(CompletionRequest(prompt, None, sampling)))
    engine.close()
    return [event.id for event in events if isinstance(event, TokenEvent)]


def up_to_end(ids: list[int], tokenizer: Tokenizer) -> list[int]:
    return ids[: ids.index(tokenizer.end_of_text_id) + 1] if tokenizer.end_of_text_id in ids else ids


def never_chosen(folder: Path, tokenizer: Tokenizer) -> list[int]:
    """Sentinels and rows of the embedding without a token: random weights would choose them."""
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    return [*sorted(tokenizer.fim_ids), *range(tokenizer.vocab_size, rows)]


def test_transformers_writes_the_same_tokens(published: Path, tokenizer: Tokenizer) -> None:
    model = AutoModelForCausalLM.from_pretrained(published)
    reader = AutoTokenizer.from_pretrained(published)
    for prompt in PROMPTS:
        inputs = reader(prompt, return_tensors="pt")
        output = model.generate(
            **inputs, max_new_tokens=N_TOKENS, do_sample=False, suppress_tokens=never_chosen(published, tokenizer)
        )
        written = output[0, inputs.input_ids.shape[1] :].tolist()
        assert up_to_end(written, tokenizer) == ours(published, prompt)


def test_ctranslate2_writes_the_same_tokens(published: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed (requirements-test.lock)")
    if not json.loads((published / "config.json").read_text())["multi_query"]:
        pytest.skip("CTranslate2 reads GPTBigCode as multi-query only")
    ctranslate2.converters.TransformersConverter(str(published)).convert(str(tmp_path / "converted"))
    generator = ctranslate2.Generator(str(tmp_path / "converted"), compute_type="float32")
    reader = AutoTokenizer.from_pretrained(published)
    marks = reader.convert_ids_to_tokens(sorted(tokenizer.fim_ids))
    suppressed = [*marks, *(f"<extra_id_{row}>" for row in range(len(never_chosen(published, tokenizer)) - len(marks)))]
    for prompt in PROMPTS:
        tokens = reader.convert_ids_to_tokens(reader(prompt).input_ids)
        result = generator.generate_batch(
            [tokens],
            max_length=N_TOKENS,
            sampling_topk=1,
            include_prompt_in_result=False,
            suppress_sequences=[[token] for token in suppressed],
            return_end_token=True,
        )[0]
        assert up_to_end(list(result.sequences_ids[0]), tokenizer) == ours(published, prompt)


# the last version of the year in which the original repository's own usage was written
OLD_TRANSFORMERS = ["transformers==4.40.2", "tokenizers==0.19.1", "huggingface_hub==0.36.2", "numpy<2", "requests"]
GENERATE = """
import json, sys
import transformers
assert transformers.__version__ == "4.40.2"
folder, prompts, n_tokens, never = json.loads(sys.stdin.read())
model = transformers.AutoModelForCausalLM.from_pretrained(folder)
reader = transformers.AutoTokenizer.from_pretrained(folder)
for prompt in prompts:
    inputs = reader(prompt, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=n_tokens, do_sample=False, suppress_tokens=never)
    print(json.dumps([inputs.input_ids[0].tolist(), output[0, inputs.input_ids.shape[1]:].tolist()]))
"""


@pytest.fixture(scope="module")
def old_transformers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that precedes the installed packages; only PyTorch is the installed one."""
    folder = tmp_path_factory.mktemp("transformers-4.40")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *OLD_TRANSFORMERS]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"transformers 4.40 cannot be installed here: {result.stderr.strip()[-300:]}")
    return folder


@pytest.mark.heavy
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="transformers 4.40 needs Python 3.12 or older")
def test_transformers_of_2024_writes_the_same_tokens(
    published: Path, tokenizer: Tokenizer, old_transformers: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", GENERATE],
        input=json.dumps([str(published), PROMPTS, N_TOKENS, never_chosen(published, tokenizer)]),
        env={**os.environ, "PYTHONPATH": str(old_transformers)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for prompt, line in zip(PROMPTS, result.stdout.splitlines(), strict=True):
        read, written = json.loads(line)
        assert read == tokenizer.encode(prompt)
        assert up_to_end(written, tokenizer) == ours(published, prompt)
