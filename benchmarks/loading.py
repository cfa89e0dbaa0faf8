"""Loading a model of the published 1.1 B shape in both formats: speed relative to reading the file, and peak memory.

    python -m benchmarks.loading

Writes the same random fp32 weights in two formats (9 GB in a temporary folder): a pickle as in the first release, and
safetensors as in transformers. Files are in the operating system's cache. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from santacoder.config import SantaCoderConfig
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer

ROUNDS = 3
# runs in a separate process, so that its peak memory is that of loading
_LOAD = """
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
peak = (kibibytes("VmHWM") - before) * 1024
size = sum(parameter.nbytes for parameter in model.parameters())
samples = {name: tensor.flatten()[:: max(1, tensor.numel() // 97)].double().sum().item()
           for name, tensor in model.state_dict().items()}
print(json.dumps({"seconds": seconds, "size": size, "peak": peak, "samples": samples}))
"""


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for dialect, snapshot in write_both_dialects(Path(folder)).items():
            for dtype in ("bfloat16", "float32"):
                rows.append(compare(snapshot, dialect, dtype))
    print("| checkpoint | to | loading, GB/s | reading alone, GB/s | peak memory / model |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['dialect']} | {row['dtype']} | {row['loading']:.2f} | {row['reading']:.2f} | {row['memory']:.3f} |"
        )
    print(json.dumps(rows))


def write_both_dialects(root: Path) -> dict[str, Path]:
    """Write the same weights into a folder for each format."""
    torch.manual_seed(0)
    config = SantaCoderConfig()
    weights = {name: parameter.detach() for name, parameter in SantaCoder(config).named_parameters()}
    document = config.to_transformers(eos_token_id=0, dtype="float32")
    remote_code = {
        **document,
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadCustomModel"],
        "attention_head_type": "multiquery",
        "activation_function": "gelu_fast",
    }
    tokenizer = Tokenizer.train([Path(__file__).read_text()], 300)
    folders = {"gpt_bigcode": root / "gpt_bigcode", "gpt2": root / "gpt2"}
    for dialect, settings in (("gpt_bigcode", document), ("gpt2", remote_code)):
        folders[dialect].mkdir()
        (folders[dialect] / "config.json").write_text(json.dumps(settings))
        tokenizer.save(folders[dialect] / "tokenizer.json")
    save_file(weights, folders["gpt_bigcode"] / "model.safetensors", metadata={"format": "pt"})
    torch.save(_as_conv1d(weights, config.n_embd), folders["gpt2"] / "pytorch_model.bin")
    return folders


def compare(snapshot: Path, dialect: str, dtype: str) -> dict[str, Any]:
    """Alternate reading and loading; returns the median of each, in GB/s."""
    reading, loading = [], []
    for _ in range(ROUNDS):
        seconds, file_size = _read(snapshot)
        reading.append(file_size / 1e9 / seconds)
        loaded = load(snapshot, dtype)
        loading.append(file_size / 1e9 / loaded["seconds"])
    return {
        "dialect": dialect,
        "dtype": dtype,
        "loading": statistics.median(loading),
        "reading": statistics.median(reading),
        "memory": loaded["peak"] / loaded["size"],
    }


def load(snapshot: Path, dtype: str) -> dict[str, Any]:
    """Load in a new process: seconds, bytes of the model, peak bytes, and a sum over samples of each tensor."""
    command = [sys.executable, "-c", _LOAD, str(snapshot), dtype]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _read(snapshot: Path) -> tuple[float, int]:
    """Seconds to read the weights file into new memory, as loading does, and its size."""
    path = next(path for path in snapshot.iterdir() if path.suffix in (".bin", ".safetensors"))
    start = time.perf_counter()
    size = len(path.read_bytes())
    return time.perf_counter() - start, size


def _as_conv1d(weights: dict[str, Tensor], n_embd: int) -> dict[str, Tensor]:
    """The weights in the layout of GPT2LMHeadCustomModel; removes them from ``weights`` one by one."""
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


if __name__ == "__main__":
    main()
