"""Decoding speed, prefill time and memory of this project's engine and others, with the same model.

    make .venv/.test
    bash benchmarks/engines/build_llama_cpp.sh runs/engines/llama.cpp     # optional, takes 15 minutes
    python -m benchmarks.engines --model 1b --work runs/engines --llama-cpp runs/engines/llama.cpp

Decoding is greedy after a prompt of 128 random tokens. Every measurement runs in a separate process; each round
measures all engines, and the median of the rounds is reported. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.engines.prepare import Prepared, prepare

COLUMNS = {
    "decode_1": "decode, batch 1, tokens/s",
    "decode_8": "decode, batch 8, tokens/s",
    "prefill_128": "prefill of 128, s",
    "prefill_1024": "prefill of 1,024, s",
    "peak_gb": "peak memory, GB",
    "cold_start": "start to first token, s",
}
# engine and variant, as benchmarks/engines/ENGINE_worker.py names them
ENGINES = [
    ("santacoder", "torch-fp32"),
    ("santacoder", "onnx-fp32"),
    ("santacoder", "onnx-int8"),
    ("santacoder", "onnx-int4"),
    ("transformers", "eager-fp32"),
    ("transformers", "eager-bf16"),
    ("transformers", "compiled-fp32"),
    ("ctranslate2", "fp32"),
    ("ctranslate2", "int8"),
    ("llama.cpp", "Q8_0"),
    ("llama.cpp", "Q4_0"),
]


def main() -> None:
    options = _parser().parse_args()
    chosen = [engine for engine in ENGINES if not options.only or f"{engine[0]} {engine[1]}" in options.only]
    if options.llama_cpp is None:
        chosen = [engine for engine in chosen if engine[0] != "llama.cpp"]
    prepared = prepare(options.model, options.work, options.llama_cpp, chosen)
    rounds: dict[tuple[str, str], list[dict[str, float]]] = {engine: [] for engine in chosen}
    for _ in range(options.rounds):
        for engine in tqdm(chosen, desc="engines", unit="engine"):
            rounds[engine].append(measure(engine, prepared))
    results = {
        f"{name} {variant}": {
            key: statistics.median(result[key] for result in measured if key in result)
            for key in COLUMNS
            if any(key in result for result in measured)
        }
        for (name, variant), measured in rounds.items()
    }
    print(_table(results))
    print(json.dumps({"model": options.model, "rounds": options.rounds, "results": results}))


def measure(engine: tuple[str, str], prepared: Prepared) -> dict[str, Any]:
    """Measure one engine in a separate process."""
    name, variant = engine
    module = f"benchmarks.engines.{name.replace('.', '_')}_worker"
    command = [sys.executable, "-m", module, variant, json.dumps(prepared.paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{name} {variant} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def _table(results: dict[str, dict[str, float]]) -> str:
    rows = ["| engine | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, result in results.items():
        cells = [f"{result[key]:.4g}" if key in result else "–" for key in COLUMNS]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--model", default="1b", help="1b (random weights, created when needed) or a model in the store"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/engines"), help="folder for converted weights")
    parser.add_argument(
        "--llama-cpp", type=Path, help="folder created by build_llama_cpp.sh; by default llama.cpp is skipped"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--only", nargs="+", help='engines to run, such as "santacoder onnx-int8" (default: all)')
    return parser


if __name__ == "__main__":
    main()
