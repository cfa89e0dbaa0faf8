"""Size of an attribution index, speed of building it, and time of a question of 200 lines.

    python -m benchmarks.attribution SHARDS [--megabytes 25 250]

Builds indexes of the first shards that hold so many MB, and asks about 200 lines cut from 100 of their files, warm.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np

from santacoder.attribution import AttributionIndex
from train.data.index import build_index
from train.data.steps import tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path, help="a folder of shards of python -m train.data")
    parser.add_argument("--megabytes", type=float, nargs="+", default=[25, 250], help="default: %(default)s")
    args = parser.parse_args()
    results = [measure(args.shards, megabytes) for megabytes in args.megabytes]
    print("| source, MB | index / source | MB/s | query, median ms | 90 % | longest |\n|---|---|---|---|---|---|")
    for row in results:
        print("| " + " | ".join(f"{value:.3g}" for value in row.values()) + " |")
    print(json.dumps(results))


def measure(folder: Path, megabytes: float) -> dict[str, float]:
    shards, size = [], 0
    for shard in sorted(folder.glob("*.parquet")):
        if size < megabytes * 1e6:
            shards.append(shard)
            size += sum(size for _, size in tally([shard]).kept.values())
    with tempfile.TemporaryDirectory() as output:
        started = time.perf_counter()
        build_index(shards, Path(output))
        seconds = time.perf_counter() - started
        share = (Path(output) / "index.bin").stat().st_size / size
        times = query_milliseconds(AttributionIndex(Path(output)))
    median, ninetieth, longest = np.percentile(times, [50, 90, 100]).tolist()
    return {
        "megabytes": size / 1e6,
        "share": share,
        "build": size / 1e6 / seconds,
        "median": median,
        "90 %": ninetieth,
        "longest": longest,
    }


def query_milliseconds(index: AttributionIndex, n: int = 100) -> list[float]:
    assert index.text is not None
    rng = random.Random(0)
    times: list[float] = []
    while len(times) < n:
        lines = index.text.file(rng.randrange(index.contents.n_files)).decode().split("\n")
        if len(lines) > 200:
            start = rng.randrange(len(lines) - 200)
            text = "\n".join(lines[start : start + 200])
            index.find(text)
            started = time.perf_counter()
            index.find(text)
            times.append(1e3 * (time.perf_counter() - started))
    return times


if __name__ == "__main__":
    main()
