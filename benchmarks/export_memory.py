"""Peak memory of exporting a model of the 1.1 B shape, relative to the size of its weights.

    python -m benchmarks.export_memory [--precision int8 fp32] [--work FOLDER]

The weights are random and need 2.3 GB of disk space in the folder, and the graphs up to 4.9 GB more. A graph of random
weights may miss its tolerance, which does not affect how it is written and checked. It is checked on one short file
with the usual chunk length. The peak is the kernel's figure, which includes mapped files, and is compared with the
weights in single precision. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import export.nodes
from benchmarks.engines.prepare import random_1b
from santacoder.config import SantaCoderConfig
from santacoder.model import SantaCoder

_REPO = "benchmark/random-1b"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export_memory", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--precision", nargs="+", default=["int8", "fp32"], help="precisions to export (default: int8 fp32)"
    )
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder with enough space (default: runs)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        weights = 4 * sum(parameter.numel() for parameter in SantaCoder(SantaCoderConfig()).parameters())
    with tempfile.TemporaryDirectory(prefix="export-memory-", dir=args.work) as folder:
        store = Path(folder)
        maker = multiprocessing.get_context("spawn").Process(target=random_1b, args=(store,))
        maker.start()
        maker.join()
        results = {precision: _export(precision, store, weights) for precision in args.precision}
    print(f"weights: {weights / 1e9:.2f} GB\n\n| precision | peak, GB | peak / weights | seconds |\n|---|---|---|---|")
    for precision, one in results.items():
        print(f"| {precision} | {one['peak_gb']:.2f} | {one['ratio']:.2f} × | {one['seconds']:.0f} |")
    print(json.dumps({"weights_gb": weights / 1e9, "results": results}))


def _export(precision: str, store: Path, weights: int) -> dict[str, float]:
    command = [sys.executable, "-m", "export", _REPO, "--store", str(store), "--precision", precision]
    command += ["--validation", export.nodes.__file__]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: the graph was rejected
        raise SystemExit(f"The export in {precision} ended with code {process.returncode}.")
    peak = usage.ru_maxrss * 1024
    return {"peak_gb": peak / 1e9, "ratio": peak / weights, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    main()
