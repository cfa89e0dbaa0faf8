"""Docstrings of Python functions: CodeXGLUE's code-to-text task as infilling (arXiv 2301.03988).

The prompt is the function with empty quotes in place of its docstring, as in InCoder (arXiv 2204.05999). The first
paragraph of the completion is compared with the reference, which is also a first paragraph.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from santacoder.sampling import SamplingParams
from train.evaluate.generate import Prompt
from train.evaluate.tasks.bleu import sentence_bleu
from train.evaluate.tasks.data import rows

SAMPLING = SamplingParams(max_new_tokens=128, temperature=0.0, seed=0)
_STOP = ('"""', "'''", "\n\n")


@dataclass(frozen=True)
class Function:
    """A function without its docstring. ``before`` ends with the opening quotes, ``after`` begins with the closing
    ones.
    """

    name: str
    before: str
    after: str
    reference: str

    @property
    def prompt(self) -> Prompt:
        return Prompt(self.name, self.before, self.after, _STOP)


def functions(folder: Path | None = None) -> list[Function]:
    """The functions of the test set whose docstring occurs in their code.

    Raises:
        DataUnavailable: the tasks cannot be read or have another schema.
    """
    fields = {"code": str, "docstring": str, "docstring_tokens": list}
    found = rows("code-to-text-python.jsonl", ("google/code_x_glue_ct_code_to_text", "python"), fields, folder)
    return [
        Function(str(number), *parts, " ".join(row["docstring_tokens"]))
        for number, row in enumerate(found)
        if (parts := _around(row["code"], row["docstring"]))
    ]


def score(function: Function, completion: str) -> float:
    """Smoothed BLEU-4 of a docstring, between 0 and 1."""
    return sentence_bleu(re.sub(r"\s+", " ", completion), function.reference)


def _around(code: str, docstring: str) -> tuple[str, str] | None:
    before, found, after = code.partition(docstring)
    return (before, after) if docstring.strip() and found else None
