"""The scores of a revision for readers: their names, their order, and whether more or less is better."""

from __future__ import annotations

Heading = tuple[str, str]
"""Benchmark and metric."""

_BENCHMARKS = {
    "multipl-e-humaneval": "HumanEval",
    "humaneval": "HumanEval",
    "multipl-e-mbpp": "MBPP",
    "docstrings": "Docstrings",
}
# in the order in which they are shown: what is to be compared comes together
_NAMES: dict[Heading, str] = {
    ("infilling", "exact match"): "Lines filled in, prefix first",
    ("infilling-spm", "exact match"): "Lines filled in, suffix first",
    ("infilling-without-brackets", "exact match"): "Lines filled in that are not only brackets, prefix first",
    ("infilling-spm-without-brackets", "exact match"): "Lines filled in that are not only brackets, suffix first",
    ("bits-per-byte", "bits per byte"): "Bits per byte of held-out files",
    ("bodies", "parse"): "Function bodies that parse",
    ("repetition", "repeat themselves"): "Continuations that repeat themselves",
    ("empty", "empty"): "Empty continuations",
    ("verbatim", "with a copied run"): "Texts with a copied run",
    ("memorization", "continued exactly"): "Training files continued exactly",
}
_LOWER_IS_BETTER = ("bits per byte", "with a copied run", "continued exactly", "repeat themselves", "empty")


def name_of(heading: Heading) -> str:
    benchmark, metric = heading
    return _NAMES.get(heading) or f"{_BENCHMARKS.get(benchmark, benchmark)}: {metric}"


def place_of(heading: Heading) -> int:
    """The place in the order of all; benchmarks whose scores have the names of their metrics go first."""
    return [*_NAMES].index(heading) if heading in _NAMES else -1


def is_lower_better(heading: Heading) -> bool:
    return heading[1] in _LOWER_IS_BETTER
