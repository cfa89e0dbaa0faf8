"""Texts that repeat themselves, and texts that do not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.evaluate.__main__ import main
from train.evaluate.results.result import read_results
from train.evaluate.tasks.infilling import Gap
from train.evaluate.tasks.repetition import is_empty, repeats_itself

PLAIN = """
    total = 0
    for number in numbers:
        if number % 2 == 0:
            total += number
    return total / max(1, len(numbers))
"""


def test_ordinary_code_does_not_repeat_itself() -> None:
    assert not repeats_itself(PLAIN)
    assert not repeats_itself("return x\nreturn x\nbreak\nreturn x\n")
    assert not repeats_itself("") and not repeats_itself("return one")
    # closing brackets at different depths are different lines
    assert not repeats_itself("{\n  {\n    {\n    }\n  }\n}\n")


@pytest.mark.parametrize(
    "text",
    [
        "def test_world_world_world_world_world",
        "    x += 1\n    x += 1\n    x += 1\n",
        "    x += 1\n\n    x += 1  \n\n\n    x += 1",
        PLAIN + "the result of " * 4,
    ],
)
def test_circles_are_seen(text: str) -> None:
    assert repeats_itself(text)


@given(n=st.integers(2, 90))
def test_one_run_of_words_may_be_a_fifteenth(n: int) -> None:
    others = [f"w{number}" for number in range(n)]
    text = " ".join(["a b c", *others[::2], "a b c", *others[1::2], "a b c"])
    assert repeats_itself(text) is ((n + 7) / 15 < 3)
    assert not repeats_itself(text.removesuffix("a b c"))


def test_solutions_of_people_seldom_do(benchmark_data: Path) -> None:
    rows = gzip.decompress((benchmark_data / "HumanEval.jsonl.gz").read_bytes()).decode().splitlines()
    solutions = [json.loads(row)["canonical_solution"] for row in rows]
    assert sum(map(repeats_itself, solutions)) / len(solutions) == pytest.approx(0.07, abs=0.01)


def test_empty_is_nothing_but_white_space() -> None:
    assert is_empty("") and is_empty(" \n\t") and not is_empty("}")


def test_lines_of_brackets_are_told_from_others() -> None:
    assert not Gap("a", "java", "", "", "  });").has_words
    assert Gap("a", "java", "", "", "  } else {").has_words


def test_the_command_writes_what_it_measures(store: Path, tmp_path: Path) -> None:
    fields = {"entry_point": "f", "canonical_solution": "", "test": ""}
    rows = [{"task_id": f"HumanEval/{n}", "prompt": f"def f(x):\n    return {n} +", **fields} for n in range(3)]
    with gzip.open(tmp_path / "HumanEval.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, rows)))
    command = ["repetition", "test/tiny", "--store", str(store), "--data", str(tmp_path), "--tasks", "2"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    results = {result.benchmark: result for result in read_results(tmp_path / "out")}
    assert results.keys() == {"repetition", "empty"}
    lines = (tmp_path / "out" / "repetition-python" / "samples.jsonl").read_text().splitlines()
    texts = {entry["task"]: entry["completion"] for entry in map(json.loads, lines)}
    assert len(texts) == 2
    for benchmark, measured in (("repetition", repeats_itself), ("empty", is_empty)):
        found = {name: score for name, (_, score) in results[benchmark].tasks.items()}
        assert found == {name: float(measured(text)) for name, text in texts.items()}


def test_lines_are_filled_in_in_both_orders(store: Path, tmp_path: Path) -> None:
    gap = {"prompt": "x = (", "suffix": "", "canonical_solution": "1"}
    gaps = [{"name": f"{language}.json", "language": language, **gap} for language in ("py", "java", "js")]
    gaps.append({**gaps[0], "name": "bracket", "canonical_solution": "  )"})
    pq.write_table(pa.Table.from_pylist(gaps), tmp_path / "santacoder-fim-task.parquet")
    command = ["infilling", "test/tiny", "--store", str(store), "--data", str(tmp_path)]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    counted = {result.name: len(result.tasks) for result in read_results(tmp_path / "out")}
    python = {name.split()[0]: n for name, n in counted.items() if "python" in name}
    assert python == {
        "infilling": 2, "infilling-without-brackets": 1, "infilling-spm": 2, "infilling-spm-without-brackets": 1,
    }  # fmt: skip
    assert len(counted) == 12
    assert main([*command, "--order", "spm", "--output", str(tmp_path / "one")]) == 0
    assert {result.benchmark.startswith("infilling-spm") for result in read_results(tmp_path / "one")} == {True}
