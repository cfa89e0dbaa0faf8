"""Training settings, compared after equally many tokens of a small model: rates, batch, decay, cooldown, shape, gaps.

    python -m train --download --prepare --output packed ...   # or the folder data/mini of python -m train.embedded
    python -m benchmarks.recipes packed/data

Each setting trains a new model with ``python -m train`` on the same data and differs from ``base`` as its name says.
The loss is that on the held-out packages, without gaps. Runs are kept in ``--output``, by setting, tokens and data, so
the table can be continued.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from train.json_lines import read_json_lines
from train.run.folder import RunFolder, newest_state

_SEQUENCE = 512
_DESCRIPTION = ("manifest.json", "tokenizer.json")  # of packed data
_BASE: dict[str, float | str] = {
    "n-layer": 4, "n-embd": 192, "n-head": 3, "sequence-length": _SEQUENCE, "batch-size": 16, "optimizer": "muon",
    "learning-rate": 2e-3, "beta2-half-life": 4e6, "schedule": "wsd", "warmup-fraction": 0.05,
    "cooldown-fraction": 0.3, "cooldown-shape": "linear", "fim-rate": 0.5, "line-rate": 0.4, "node-rate": 0.4,
    "fim-questions": 0, "validation-batches": 32,
}  # fmt: skip
_SETTINGS: dict[str, dict[str, float | str]] = {
    "base": {},
    "another seed": {"seed": 1},
    "all rates x 2": {"learning-rate": 4e-3},
    "all rates x 4": {"learning-rate": 8e-3},
    "all rates x 8": {"learning-rate": 1.6e-2},
    "embeddings x 4": {"embedding-learning-rate": 8e-3},
    "embeddings x 10, vectors x 4": {"embedding-learning-rate": 2e-2, "vector-learning-rate": 8e-3},
    "embeddings x 20, vectors x 4": {"embedding-learning-rate": 4e-2, "vector-learning-rate": 8e-3},
    "vectors x 4": {"vector-learning-rate": 8e-3},
    "matrices x 4": {"learning-rate": 8e-3, "embedding-learning-rate": 2e-3, "vector-learning-rate": 2e-3},
    "half the batch": {"batch-size": 8},
    "beta2 0.95": {"beta2-half-life": 0.0},
    "weight decay 0.01": {"weight-decay": 0.01},
    "cooldown sqrt": {"cooldown-shape": "sqrt"},
    "cooldown over the last 0.6": {"cooldown-fraction": 0.6},
    "2 layers, width 256": {"n-layer": 2, "n-embd": 256, "n-head": 4},
    "7 layers, width 144": {"n-layer": 7, "n-embd": 144, "n-head": 3},
    "gaps in a quarter": {"fim-rate": 0.25},
    "gaps anywhere": {"line-rate": 0.0, "node-rate": 0.0},
    "adamw": {"optimizer": "adamw"},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recipes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="packed data, from python -m train --prepare")
    parser.add_argument("--output", type=Path, default=Path("runs/recipes"), help="folder of the runs (%(default)s)")
    parser.add_argument("--tokens", type=float, default=2.5e6, help="tokens of each run (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=_SETTINGS, help="only these settings")
    args = parser.parse_args()
    print("| setting | held-out nats per token | bits per byte | tokens/s |\n|---|---|---|---|")
    for name in args.only or _SETTINGS:
        loss, bits, speed = _trained(args.data, args.output, name, args.tokens)
        print(f"| {name} | {loss:.3f} | {bits:.3f} | {speed:.0f} |", flush=True)


def _trained(data: Path, output: Path, name: str, tokens: float) -> tuple[float, float, float]:
    """The held-out loss at the end, as nats per token and bits per byte, and the median tokens a second."""
    settings = _BASE | _SETTINGS[name]
    steps = round(tokens / _SEQUENCE / float(settings["batch-size"]))
    run = RunFolder(output / f"{name.replace(' ', '-')}-{tokens:.0f}-{_digest(data)}")
    settings |= {"steps": steps, "validate-every": steps, "save-every": steps}
    options = [part for option, value in settings.items() for part in (f"--{option}", str(value))]
    start = ["--data", str(data), *options] if newest_state(run.states) is None else ["--resume"]
    outcome = run.outcome()
    if outcome is None or outcome.state != "finished":
        command = [sys.executable, "-m", "train", "--output", str(run.path), *start]
        subprocess.run(command, check=True, stdout=sys.stderr)
    rows = read_json_lines(run.metrics)
    last = next(row for row in reversed(rows) if "validation_loss" in row)
    speeds = sorted(row["tokens_per_second"] for row in rows if "tokens_per_second" in row)
    return last["validation_loss"], last["bits_per_byte"], speeds[len(speeds) // 2]


def _digest(data: Path) -> str:
    """A digest of what is packed in ``data``: the same folder may have been packed again."""
    return hashlib.sha256(b"".join((data / name).read_bytes() for name in _DESCRIPTION)).hexdigest()[:8]


if __name__ == "__main__":
    main()
