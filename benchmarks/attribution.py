"""How an attribution index scales with the size of the source: index size, build speed, query time for 200 lines,
memory, and agreement with plain search.

    python -m benchmarks.attribution SHARDS --enlarge 10 --out runs/enlarged
    python -m benchmarks.attribution runs/enlarged --megabytes 25 250 2500 --plot docs/images/attribution-growth.png

The first command makes ten copies of the first 250 MB, each with a different substitution of letters, so that no two
copies share code. For each size, the second command indexes the first shards up to that size, and runs warm queries:
100 times 200 lines from one file, and 100 times 200 lines composed from five files.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import string
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.plain_search import NOT_COMPARED, compare
from santacoder.attribution import AttributionIndex, Shards
from santacoder.attribution.shards import shard_folders
from train.data.index import Shard, build_index, source_bytes
from train.data.source_file import read_shard, write_shard

QUESTIONS = 100
LINES = 200
_COPIED_BYTES = 250e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path, help="a folder of shards of python -m train.data")
    parser.add_argument("--megabytes", type=float, nargs="+", default=[25, 250], help="default: %(default)s")
    parser.add_argument("--plot", type=Path, help="file for a chart: .png, .svg or .pdf")
    parser.add_argument("--enlarge", type=int, metavar="COPIES", help="write this number of copies into --out and exit")
    parser.add_argument("--out", type=Path, default=Path("runs/enlarged"), help="default: %(default)s")
    args = parser.parse_args()
    if args.enlarge:
        enlarge(args.shards, args.out, args.enlarge)
        return
    results = [measure(args.shards, megabytes) for megabytes in args.megabytes]
    print("| " + " | ".join(results[0]) + " |\n" + "|---" * len(results[0]) + "|")
    for row in results:
        print("| " + " | ".join(f"{value:.3g}" for value in row.values()) + " |")
    print(json.dumps(results))
    if args.plot:
        plot(results, args.plot)


def enlarge(folder: Path, out: Path, copies: int) -> None:
    """Write ``copies`` of the first 250 MB of shards; copy n has its letters shifted by n positions in the alphabet."""
    letters = string.ascii_lowercase
    for number in range(copies):
        moved = letters[number:] + letters[:number]
        table = str.maketrans(letters + letters.upper(), moved + moved.upper())
        for shard in first_shards(folder, _COPIED_BYTES):
            files = [replace(file, text=file.text.translate(table)) for file in read_shard(shard)]
            write_shard(out / f"{number:02d}-{shard.name}", files)


def measure(folder: Path, megabytes: float) -> dict[str, float]:
    shards = first_shards(folder, megabytes * 1e6)
    with tempfile.TemporaryDirectory() as output:
        started = time.perf_counter()
        built = build_index([Shard(path) for path in shards], Path(output))
        seconds = time.perf_counter() - started
        n_bytes = sum(contents.n_bytes for contents in built)
        index_bytes = sum((shard / "index.bin").stat().st_size for shard in shard_folders(Path(output)))
        # in a separate process, so that its memory is the index's
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            asked = pool.apply(ask, (Path(output),))
    share = 100 * index_bytes / n_bytes
    return {"MB": n_bytes / 1e6, "index / source, %": share, "MB/s": n_bytes / 1e6 / seconds, **asked}


def ask(output: Path) -> dict[str, float]:
    before = _anonymous_megabytes()
    started = time.perf_counter()
    index = Shards(output)
    opened = time.perf_counter() - started
    files = AttributionIndex(shard_folders(output)[0])
    one_file = [question(files, 1, seed) for seed in range(QUESTIONS)]
    five_files = [question(files, 5, seed) for seed in range(QUESTIONS)]
    of_one, of_five = (_milliseconds(index, questions) for questions in (one_file, five_files))
    memory = _anonymous_megabytes() - before
    plain = compare(files, five_files[:3]) if index.searched.bytes < 50e6 else NOT_COMPARED
    return {
        "opened, s": opened,
        **{f"one file, {name}": value for name, value in of_one.items()},
        **{f"five files, {name}": value for name, value in of_five.items()},
        "memory, MB": memory,
        **plain,
    }


def question(index: AttributionIndex, n_files: int, seed: int) -> str:
    """200 lines, equally many from each of ``n_files`` files."""
    assert index.text is not None
    rng = random.Random(seed)
    lines: list[str] = []
    while len(lines) < LINES:
        text = index.text.file(rng.randrange(index.contents.n_files)).decode().split("\n")
        wanted = LINES // n_files
        if len(text) > wanted:
            start = rng.randrange(len(text) - wanted)
            lines += text[start : start + wanted]
    return "\n".join(lines)


def first_shards(folder: Path, n_bytes: float) -> list[Path]:
    """The first shards that together contain at least ``n_bytes`` of text."""
    shards, size = [], 0
    for shard in sorted(folder.glob("*.parquet")):
        if size < n_bytes:
            shards.append(shard)
            size += source_bytes(shard)
    return shards


def plot(results: list[dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3), layout="constrained")
    panels = figure.subplots(1, 4)
    megabytes = [row["MB"] for row in results]
    curves = [
        ("index / source, %", ["index / source, %"]),
        ("built, MB/s", ["MB/s"]),
        ("200 lines, ms", ["one file, median ms", "one file, 95 % ms", "five files, median ms", "five files, 95 % ms"]),
        ("memory of the queries, MB", ["memory, MB"]),
    ]
    for axes, (title, names) in zip(panels, curves, strict=True):
        for name in names:
            axes.plot(megabytes, [row[name] for row in results], "o-", label=name.removesuffix(" ms"))
        axes.set(title=title, xlabel="MB of source", xscale="log", ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=150)


def _milliseconds(index: Shards, questions: list[str]) -> dict[str, float]:
    times = []
    for text in questions:
        index.find(text)
        started = time.perf_counter()
        index.find(text)
        times.append(1e3 * (time.perf_counter() - started))
    median, high, longest = np.percentile(times, [50, 95, 100]).tolist()
    return {"median ms": median, "95 % ms": high, "longest ms": longest}


def _anonymous_megabytes() -> float:
    """Resident memory of this process that is not backed by files."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
