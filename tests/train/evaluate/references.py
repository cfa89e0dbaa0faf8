"""Reference solutions of the tasks: those of HumanEval, of MBPP, and the sources of the infilling tasks."""

from __future__ import annotations

import json
import re
from pathlib import Path

from train.evaluate.tasks.data import rows
from train.evaluate.tasks.infilling import gaps
from train.evaluate.tasks.programming import Task

# tests for primes with BigInteger.isProbablePrime(1), which is right only most of the time
_BY_CHANCE = ("java", "HumanEval_39_prime_fib")


def human_eval_solutions(folder: Path) -> dict[str, tuple[str, str]]:
    """Prompt and canonical solution by task, such as ``HumanEval/0``."""
    fields = dict.fromkeys(("task_id", "prompt", "canonical_solution"), str)
    found = rows("HumanEval.jsonl.gz", ("openai/openai_humaneval", None), fields, folder)
    return {row["task_id"]: (row["prompt"], row["canonical_solution"]) for row in found}


def mbpp_solutions(folder: Path) -> dict[int, str]:
    """Code by task number."""
    return {row["task_id"]: row["code"] for row in json.loads((folder / "sanitized-mbpp.json").read_text())}


def solved_gaps(folder: Path) -> dict[tuple[str, str], str]:
    """Whole solutions by language and task, such as (``java``, ``HumanEval_23_strlen``)."""
    return {
        (gap.language, gap.name.partition(".json")[0].removeprefix("humaneval-")): "\n".join(
            (gap.prefix, gap.middle, gap.suffix)
        )
        for gap in gaps(folder)
    }


def reference_programs(tasks: list[Task], folder: Path) -> dict[str, str]:
    """Programs for those MultiPL-E ``tasks`` that have a reference, by task."""
    solved, human_eval, mbpp = solved_gaps(folder), human_eval_solutions(folder), mbpp_solutions(folder)
    programs = {}
    for task in tasks:
        number = int(re.search(r"_(\d+)_", task.name)[1])
        if (task.language, task.name) == _BY_CHANCE:
            continue
        if (task.language, task.name) in solved:
            programs[task.name] = _with_tests(task, solved[task.language, task.name])
        elif task.language == "python" and task.name.startswith("HumanEval"):
            programs[task.name] = "\n".join((*human_eval[f"HumanEval/{number}"], task.after))
        elif task.language == "python" and number in mbpp:
            programs[task.name] = f"{task.before}\n    pass\n{mbpp[number]}\n{task.after}"
    return programs


def _with_tests(task: Task, solution: str) -> str:
    if task.language == "java":  # the tests close the class themselves, and the method before them
        solution = solution.rstrip().removesuffix("}").rstrip().removesuffix("}")
    return solution + "\n" + task.after
