"""The real benchmarks: references pass, mutants fail, canonical middles score 1.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from santacoder.languages import Language
from tests.train.evaluate.references import human_eval_solutions, reference_programs
from train.evaluate.execution.programs.missing import MissingProgram
from train.evaluate.execution.sandbox import Sandbox
from train.evaluate.execution.verdicts import Judge, judge
from train.evaluate.tasks.infilling import gaps, matches
from train.evaluate.tasks.programming import human_eval, multipl_e

# their tests were translated to lists and booleans, where MBPP's own solutions return tuples and matches
OTHER_TYPES = {143, 255, 257, 259, 310, 401, 417, 444, 445, 560, 726, 737, 783, 787, 794}
SAMPLED = 40  # one reference in 40 in the suite, all of them in the slow tests
WRONG = """
def wrong(x):
    if isinstance(x, bool): return not x
    if isinstance(x, (int, float)): return x + 1
    if isinstance(x, str): return x + "x"
    if isinstance(x, dict): return {**x, "x": 0}
    return 0 if x is None else type(x)([*x, 0])
right, candidate = candidate, lambda *arguments: wrong(right(*arguments))
"""


@pytest.fixture(scope="module")
def the_judge(sandbox: Sandbox) -> Iterator[Judge]:
    with judge(sandbox) as made:
        yield made


def failed(the_judge: Judge, language: Language, programs: dict[str, str]) -> dict[str, str]:
    """The programs that failed, and why; the time limit is longer than the benchmarks', for busy machines."""
    try:
        the_judge.require(language)
    except MissingProgram as error:
        pytest.skip(str(error))
    verdicts = the_judge.verdicts(((name, language, source) for name, source in programs.items()), 120)
    return {name: verdict.result for name, verdict in verdicts if not verdict.passed}


@pytest.mark.slow
def test_all_canonical_solutions_of_human_eval_pass(the_judge: Judge, benchmark_data: Path) -> None:
    tasks, solutions = human_eval(benchmark_data), human_eval_solutions(benchmark_data)
    assert len(tasks) == 164
    programs = {task.name: task.program("\n" + solutions[task.name][1]) for task in tasks}
    assert failed(the_judge, "python", programs) == {}


@pytest.mark.slow
def test_all_mutated_solutions_of_human_eval_fail(the_judge: Judge, benchmark_data: Path) -> None:
    programs = {}
    for task in human_eval(benchmark_data):
        solution = task.program("\n" + human_eval_solutions(benchmark_data)[task.name][1])
        name = re.search(r"\ncheck\((\w+)\)$", solution)[1]
        programs[task.name] = solution.removesuffix(f"\ncheck({name})") + (
            f"\ncandidate = {name}\n{WRONG}\n{name} = candidate\ncheck({name})"
        )
    assert set(failed(the_judge, "python", programs)) == set(programs)


@pytest.mark.parametrize(("suite", "language", "known"), [
    ("humaneval", "python", 161), ("humaneval", "java", 136), ("humaneval", "javascript", 154), ("mbpp", "python", 397),
])  # fmt: skip
@pytest.mark.parametrize("step", [SAMPLED, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_references_of_multipl_e_pass(
    the_judge: Judge, benchmark_data: Path, suite: str, language: Language, known: int, step: int
) -> None:
    programs = reference_programs(multipl_e(suite, language, benchmark_data), benchmark_data)
    assert len(programs) == known
    chosen = dict(sorted(programs.items())[::step])
    wrong = failed(the_judge, language, chosen)
    assert {int(name.split("_")[1]) for name in wrong} <= (OTHER_TYPES if suite == "mbpp" else set())


def test_mutated_javascript_fails(the_judge: Judge, benchmark_data: Path) -> None:
    references = reference_programs(multipl_e("humaneval", "javascript", benchmark_data), benchmark_data)
    programs = {
        name: re.sub(r"\breturn\b([^;\n]*)", r'return [\1 , "mutated"]', source)
        for name, source in sorted(references.items())[::SAMPLED]
    }
    assert set(failed(the_judge, "javascript", programs)) == set(programs)


@pytest.mark.slow
def test_mutated_java_fails(the_judge: Judge, benchmark_data: Path) -> None:
    references = reference_programs(multipl_e("humaneval", "java", benchmark_data), benchmark_data)
    programs = {}
    for name, source in sorted(references.items())[::SAMPLED]:
        wrong = "!(" if "static boolean" in source else "(0 == 0) ? null : ("
        if re.search(r"static (long|float|double|int) ", source):
            wrong = "1 + ("
        programs[name] = re.sub(r"\breturn ([^;]*);", rf"return {wrong}\1);", source)
    results = failed(the_judge, "java", programs)
    assert set(results) == set(programs)
    assert any("AssertionError" in result for result in results.values())


def test_canonical_middles_match(benchmark_data: Path) -> None:
    found = gaps(benchmark_data)
    assert len(found) == 4792
    assert all(matches(gap, gap.middle) and matches(gap, f"  {gap.middle}\n") for gap in found)
    assert not any(matches(gap, gap.middle + "x") for gap in found)
