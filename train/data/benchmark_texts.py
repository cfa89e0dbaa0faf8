"""The benchmarks' prompts and solutions, from a folder or the Hub. Training data must not contain them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

# file name in a folder, and the dataset and file on the Hub with the same rows
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


def benchmark_texts(folder: Path | None) -> dict[str, list[str]]:
    """Texts of HumanEval, MBPP, MultiPL-E and the single-line infilling benchmark, by benchmark and kind of text.

    Raises:
        OSError: a file is not in ``folder`` or, without a folder, cannot be downloaded from the Hub.
    """
    texts: dict[str, list[str]] = {}
    for name, (repo, file) in _BENCHMARKS.items():
        path = folder / name if folder else Path(hf_hub_download(repo, file, repo_type="dataset"))
        for row in _rows(path):
            for kind, text in _texts(row):
                texts.setdefault(f"{name.split('.')[0]}: {kind}", []).append(text)
    return texts


def _texts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "suffix" in row:  # the three parts of a program
        yield "programs", row["prompt"] + row["canonical_solution"] + row["suffix"]
        return
    yield "prompts", row["prompt"]
    if "code" in row:
        yield "solutions", row["code"]
    if "canonical_solution" in row:
        yield "bodies", row["canonical_solution"]
        heads = re.findall(rf"^def {row['entry_point']}\(.*?:\n", row["prompt"], re.MULTILINE | re.DOTALL)
        yield "functions without docstring", heads[-1] + row["canonical_solution"]


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    return json.loads(path.read_text(encoding="utf-8"))
