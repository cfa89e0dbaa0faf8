"""The longest time that a step of the data pipeline takes for one file, over hostile files.

    python -m benchmarks.hostile_files [KIND …]

The files are those of ``tests/train/data/hostile.py``: a megabyte each, accepted by the base filter, and each designed
against a search that is not linear. Times are processor times, which hardly depend on other load. The step ``simple``
parses in a separate process with a limit of 1.5 s; the files that exceed it are listed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from santacoder.checkpoints import DEFAULT_STORE, resolve
from santacoder.tokenizer import Tokenizer
from tests.train.data.hostile import hostile
from train.data.filters import infertile, oddly_commented
from train.data.near_dedup import band_keys, shingles
from train.data.pipeline import FERTILITY_VOCABULARY, clean
from train.data.simple import TOO_LONG_TO_READ, not_simple
from train.data.source_file import SourceFile

LANGUAGES = {
    "python": "def f(): return 1\n",
    "java": "class A { int f() { return 1; } }\n",
    "javascript": "function f() { return 1 }\n",
}
"""Code with a function for each language; files without one are never simple."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kinds of files (default: all)")
    parser.add_argument("--size", type=int, default=1_000_000, help="characters per file (default: %(default)s)")
    parser.add_argument(
        "--store", type=Path, default=DEFAULT_STORE, help="store with santacoder/mini, whose tokenizer is used"
    )
    args = parser.parse_args()
    tokenizer = Tokenizer.load(resolve("santacoder/mini", store=args.store, download=False) / "tokenizer.json")
    slowest: dict[str, tuple[float, str]] = {}
    given_up = []
    texts = hostile(args.size)
    for name, text in ((kind, texts[kind]) for kind in args.kinds or texts):
        files = [file_of(text, language) for language in LANGUAGES]
        runs = steps(files, tokenizer)
        runs["training a tokenizer"] = partial(Tokenizer.train, [text], FERTILITY_VOCABULARY)
        for step, run in runs.items():
            slowest[step] = max(slowest.get(step, (0.0, "")), (seconds(run), name))
        verdicts = zip(files, not_simple(files, ()), strict=True)
        given_up += [f"{name} ({file.language})" for file, verdict in verdicts if verdict == TOO_LONG_TO_READ]
        print(".", end="", flush=True)
    print("\n\n| step | longest, s | for |\n|---|---|---|")
    for step, (longest, name) in slowest.items():
        print(f"| {step} | {longest:.2f} | {name} |")
    print(f"\nsyntax that takes too long to read: {', '.join(given_up) or 'none'}")


def file_of(text: str, language: str) -> SourceFile:
    return SourceFile("p", "1", "MIT", "a", language, LANGUAGES[language] + text)


def steps(files: Sequence[SourceFile], tokenizer: Tokenizer) -> dict[str, Callable[[], object]]:
    """The steps to measure by name, for ``files`` with one file in each language."""
    text = files[0].text
    runs: dict[str, Callable[[], object]] = {
        "near-dedup": lambda: band_keys([shingles(text, 1)], 0.85),
        "dedup-alt": lambda: band_keys([shingles(text, 5, layout=True)], 0.7),
        "fertility, packing": lambda: infertile(files[:1], tokenizer),
    }
    for file in files:
        runs[f"clean, {file.language}"] = partial(clean, [file], ())
        runs[f"comments, {file.language}"] = partial(oddly_commented, [file])
    return runs


def seconds(run: Callable[[], object]) -> float:
    """The shortest of three times where it matters: the same step varies by half where a machine has other guests."""
    times: list[float] = []
    while len(times) < (3 if times and times[0] > 1 else 1):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()
