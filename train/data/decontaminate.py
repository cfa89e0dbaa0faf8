"""Files that contain a benchmark's prompt or solution are found by runs of words they share with it.

The runs are kept as hashes in ``benchmarks.npy``, so that every corpus is checked, also where the benchmarks are not at
hand. ``python -m train.data.decontaminate`` makes that file anew, from a folder or from the Hub.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from huggingface_hub import hf_hub_download
from rensa import RMinHash

from train.data.source_file import SourceFile

# between the 8 and 13 words of arXiv 2005.14165, appendix C: the shortest prompts have ten or a few more
RUN = 10
MIN_DIFFERENT_WORDS = 8  # in a run and not counting numbers, lest a table or a plain double loop makes one
FINGERPRINTS = Path(__file__).with_name("benchmarks.npy")
_WORD = re.compile(r"\w+")
_ODD = np.uint64(0x9E3779B97F4A7C15)
_TEXTS = ("prompt", "canonical_solution", "code")
# file in a folder, and where the Hub has the same rows
_BENCHMARKS = {
    "HumanEval.jsonl.gz": ("openai/openai_humaneval", "openai_humaneval/test-00000-of-00001.parquet"),
    "sanitized-mbpp.json": ("google-research-datasets/mbpp", "sanitized/test-00000-of-00001.parquet"),
    "santacoder-fim-task.parquet": ("bigcode/santacoder-fim-task", "data/train-00000-of-00001.parquet"),
} | {
    f"multipl-e/{suite}-{language}-reworded.json": (
        "nuprl/MultiPL-E",
        f"{suite}-{language}/test-00000-of-00001.parquet",
    )
    for suite in ("humaneval", "mbpp")
    for language in ("py", "java", "js")
}


def contaminated(files: Sequence[SourceFile]) -> list[str | None]:
    """A filter (``filters.py``): against files with a run of ten words of a benchmark's prompt or solution."""
    found = [_runs(file.text) for file in files]
    hits = np.isin(np.concatenate(found), _fingerprints()) if found else np.empty(0, bool)
    ends = np.cumsum([len(runs) for runs in found])
    return [
        "part of a benchmark" if hits[end - len(runs) : end].any() else None
        for runs, end in zip(found, ends, strict=True)
    ]


def fingerprint(texts: Iterable[str]) -> np.ndarray:
    """The runs that give ``texts`` away, [n] uint64, ascending. Texts of fewer than ten words have none: they cannot be
    told from ordinary code."""
    return np.unique(np.concatenate([_telling_runs(text) for text in texts]))


def benchmark_texts(folder: Path | None) -> list[str]:
    """Prompts and solutions of HumanEval, MBPP, MultiPL-E and the single-line infilling benchmark.

    Raises:
        OSError: one of them is not in ``folder``, or cannot be had from the Hub where no folder is given.
    """
    texts = []
    for name, (repo, file) in _BENCHMARKS.items():
        path = folder / name if folder else Path(hf_hub_download(repo, file, repo_type="dataset"))
        for row in _rows(path):
            if "suffix" in row:  # the three parts of one program
                texts.append(row["prompt"] + row["canonical_solution"] + row["suffix"])
            else:
                texts += [row[key] for key in _TEXTS if key in row]
    return texts


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 1 where the benchmarks cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m train.data.decontaminate", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the benchmarks' files are (default: from the Hub)")
    args = parser.parse_args(arguments)
    try:
        found = fingerprint(benchmark_texts(args.folder))
    except OSError as error:
        parser.exit(1, f"The benchmarks cannot be read: {error}\n")
    np.save(FINGERPRINTS, found)
    print(f"Wrote {len(found):,} runs to {FINGERPRINTS}.")
    return 0


def _runs(text: str) -> np.ndarray:
    """Hashes of the runs of ten words of ``text`` in lower case, [n] uint64."""
    words = _WORD.findall(text.lower())
    if len(words) < RUN:
        return np.empty(0, np.uint64)
    hashes = np.array(RMinHash.hash_token_sets([words])[0], np.uint64)
    combined = np.zeros(len(words) - RUN + 1, np.uint64)
    for offset in range(RUN):
        combined = combined * _ODD + hashes[offset : offset + len(combined)]
    return combined


def _telling_runs(text: str) -> np.ndarray:
    """Those of the runs that have enough different words, numbers not counted."""
    words = _WORD.findall(text.lower())
    runs = _runs(text)
    telling = [
        len({w for w in words[i : i + RUN] if not w[0].isdigit()}) >= MIN_DIFFERENT_WORDS for i in range(len(runs))
    ]
    return runs[np.array(telling, bool)]


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache
def _fingerprints() -> np.ndarray:
    return np.load(FINGERPRINTS)


if __name__ == "__main__":
    sys.exit(main())
