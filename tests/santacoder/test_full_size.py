"""The published 1.1 B shape, with random weights, in both dialects: memory and speed of loading."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from santacoder.config import SantaCoderConfig
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from tests.conftest import REPOSITORY
from tests.santacoder import dialects

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]

LOADER = """
import json, sys, time
import torch
from pathlib import Path
from santacoder import checkpoints

def kibibytes(key):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(key))

torch.zeros(1, dtype=torch.bfloat16).add(1)
before = kibibytes("VmRSS")
start = time.perf_counter()
model, _ = checkpoints.load(sys.argv[1], dtype=getattr(torch, sys.argv[2]))
seconds = time.perf_counter() - start
size = sum(parameter.nbytes for parameter in model.parameters())
samples = {name: tensor.flatten()[:: max(1, tensor.numel() // 97)].double().sum().item() for name, tensor in
           model.state_dict().items()}
peak = (kibibytes("VmHWM") - before) * 1024
print(json.dumps({"seconds": seconds, "size": size, "peak": peak, "samples": samples}))
"""


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> dict[str, Path]:
    """One set of fp32 weights: a pickle in the dialect of the first release, safetensors in that of transformers."""
    torch.manual_seed(0)
    config = SantaCoderConfig()
    weights = {name: parameter.detach() for name, parameter in SantaCoder(config).named_parameters()}
    document = config.to_transformers(eos_token_id=0, dtype="float32")
    root = tmp_path_factory.mktemp("full-size")
    folders = {"gpt_bigcode": dialects.write(root / "gpt_bigcode", document, weights, tokenizer)}
    remote_code = {
        **document,
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadCustomModel"],
        "attention_head_type": "multiquery",
        "activation_function": "gelu_fast",
    }
    folders["gpt2"] = dialects.write(
        root / "gpt2", remote_code, as_conv1d(weights, config.n_embd), tokenizer, file_format="bin"
    )
    return folders


def as_conv1d(weights: dict[str, Tensor], n_embd: int) -> dict[str, Tensor]:
    converted = {}
    for name in list(weights):
        tensor = weights.pop(name)
        if ".attn." in name or ".mlp." in name:
            tensor = tensor.t().contiguous()
        if ".c_attn." in name:
            for part, rows in (("q_attn", tensor[..., :n_embd]), ("kv_attn", tensor[..., n_embd:])):
                converted[name.replace("c_attn", part)] = rows.contiguous()
        else:
            converted[name] = tensor
    return converted


def seconds_to_read(folder: Path) -> tuple[float, int]:
    """Into fresh memory, as loading does; the first pass warms the cache of the operating system."""
    path = next(path for path in folder.iterdir() if path.suffix in (".bin", ".safetensors"))
    for _ in range(2):
        start = time.perf_counter()
        size = len(path.read_bytes())
        seconds = time.perf_counter() - start
    return seconds, size


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("dialect", ["gpt_bigcode", "gpt2"])
def test_loading_takes_little_more_memory_than_the_model_and_little_more_time_than_reading(
    full_size: dict[str, Path], dialect: str, dtype: str
) -> None:
    reading, file_size = seconds_to_read(full_size[dialect])
    command = [sys.executable, "-c", LOADER, str(full_size[dialect]), dtype]
    result = json.loads(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
    gigabytes_a_second = file_size / 1e9 / result["seconds"]
    figures = (
        f"{dialect} to {dtype}: peak {result['peak'] / result['size']:.3f} x {result['size'] / 1e9:.2f} GB, "
        f"{gigabytes_a_second:.2f} GB/s, reading alone {file_size / 1e9 / reading:.2f} GB/s"
    )
    print(figures)
    assert result["peak"] <= 1.15 * result["size"], figures
    assert gigabytes_a_second >= min(1.0, 0.8 * file_size / 1e9 / reading), figures


def test_both_dialects_are_one_model(full_size: dict[str, Path]) -> None:
    samples = []
    for folder in full_size.values():
        command = [sys.executable, "-c", LOADER, str(folder), "float32"]
        output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        samples.append(json.loads(output)["samples"])
    assert samples[0] == samples[1]
