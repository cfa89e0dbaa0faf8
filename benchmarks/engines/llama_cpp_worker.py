"""llama.cpp, measured with its own benchmark programs."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.engines.worker import N_DECODED, N_PROMPT


def main() -> None:
    variant, paths = sys.argv[1], json.loads(sys.argv[2])
    tools, model, threads = Path(paths["tools"]), paths[variant], str(os.cpu_count())
    bench = [tools / "llama-bench", "-m", model, "-t", threads, "-r", "3", "-o", "json"]
    short, long = (_json([*bench, "-p", str(length), "-n", "0"])[0] for length in (128, 1024))
    figures = {"prefill_128": 128 / short["avg_ts"], "prefill_1024": 1024 / long["avg_ts"]}
    # both batch sizes, after a prompt of the same length as for the other engines
    batched = [tools / "llama-batched-bench", "-m", model, "-t", threads, "-c", "2048"]
    shape = ["-npp", str(N_PROMPT), "-ntg", str(N_DECODED), "-npl", "1,8"]
    output = subprocess.run([*batched, *shape], capture_output=True, text=True, check=True).stdout
    for row in re.findall(r"^\|(.*)\|$", output, re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]
        if cells[0] == str(N_PROMPT):
            figures[f"decode_{cells[2]}"] = float(cells[7])
    figures["peak_gb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    print(json.dumps(figures))


def _json(command: list[Any]) -> list[dict[str, Any]]:
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
