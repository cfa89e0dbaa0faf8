"""Single-line infilling: the benchmark of the SantaCoder paper (arXiv 2301.03988).

A line is removed from the solution of a MultiPL-E HumanEval task. The model generates up to 25 tokens, and the result
must equal the line up to surrounding white space (github.com/arjunguha/santacoder_fim_benchmark).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from santacoder.fim import FimOrder
from santacoder.languages import Language
from santacoder.sampling import SamplingParams
from train.evaluate.generate import Prompt
from train.evaluate.tasks.data import rows

SAMPLING = SamplingParams(max_new_tokens=25, temperature=0.2, top_p=0.95, seed=0)
BENCHMARKS: dict[FimOrder, str] = {"psm": "infilling", "spm": "infilling-spm"}
WITHOUT_BRACKETS = "-without-brackets"
_LANGUAGES: dict[str, Language] = {"py": "python", "java": "java", "js": "javascript"}


@dataclass(frozen=True)
class Gap:
    """A task: infill ``middle`` between ``prefix`` and ``suffix``."""

    name: str
    language: Language
    prefix: str
    suffix: str
    middle: str

    @property
    def has_words(self) -> bool:
        """Whether the line has letters or digits; lines of brackets alone are easy."""
        return any(map(str.isalnum, self.middle))

    def prompt(self, order: FimOrder) -> Prompt:
        return Prompt(self.name, self.prefix, self.suffix, order=order)


def gaps(folder: Path | None = None) -> list[Gap]:
    """The 4,792 tasks.

    Raises:
        DataUnavailable: the tasks cannot be read or have another schema.
    """
    fields = dict.fromkeys(("name", "language", "prompt", "suffix", "canonical_solution"), str)
    found = rows("santacoder-fim-task.parquet", ("bigcode/santacoder-fim-task", None), fields, folder)
    return [
        Gap(row["name"], _LANGUAGES[row["language"]], row["prompt"], row["suffix"], row["canonical_solution"])
        for row in found
        if row["language"] in _LANGUAGES
    ]


def matches(gap: Gap, completion: str) -> bool:
    """Whether ``completion`` is the missing line, up to surrounding white space."""
    return completion.strip() == gap.middle.strip()
