"""The results of ``memorization.py`` as tables, a chart and publishable results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from santacoder.errors import UserError
from train.evaluate.results.result import Result, Subject, Tasks
from train.evaluate.tasks.memorization import FOLLOWING_TOKENS, PROMPT_TOKENS, SPLITS, Split, Written

Runs = Mapping[tuple[Split, float], Sequence[Written]]
"""Continuations by the split of their prompts and the temperature."""


def copied_table(runs: Runs, guaranteed: int) -> str:
    """How many texts have a copied run, by the length of the run and the temperature."""
    lengths = (guaranteed, 2 * guaranteed, 4 * guaranteed)
    heading = ["prompts from", "T", "texts", *(f"run ≥ {length}" for length in lengths), "without boilerplate"]
    rows = []
    for (split, temperature), written in runs.items():
        shares = [_with_run(written, length) for length in lengths]
        uncommon = _share(written, lambda one: one.longest_uncommon > 0)
        copied = sum(one.copied for one in written) / len(written)
        longest = max(one.longest for one in written)
        cells = [
            SPLITS[split],
            f"{temperature:g}",
            str(len(written)),
            *(f"{share:.1%}" for share in [*shares, uncommon]),
        ]
        rows.append([*cells, f"{copied:.2%}", str(longest)])
    return _table([*heading, "characters in runs", "longest run"], rows)


def length_table(by_length: Mapping[int, Runs]) -> str:
    """How many texts have a copied run, by the length of the text."""
    keys = list(next(iter(by_length.values())))
    rows = []
    for split, temperature in keys:
        shares = (_share(runs[split, temperature], lambda one: one.longest > 0) for runs in by_length.values())
        rows.append([SPLITS[split], f"{temperature:g}", *(f"{share:.1%}" for share in shares)])
    return _table(["prompts from", "T", *(f"{length} new tokens" for length in by_length)], rows)


def by_heart_table(runs: Runs) -> str:
    """How often the model continues exactly like the file."""
    rows = []
    for (split, temperature), written in runs.items():
        if temperature == 0:
            exactly = _share(written, lambda one: one.right == 1)
            right = sum(one.right for one in written) / len(written)
            rows.append([SPLITS[split], str(len(written)), f"{exactly:.1%}", f"{right:.1%}"])
    return _table(
        ["prompts from", "prompts", f"{FOLLOWING_TOKENS} tokens exactly", "characters before the first difference"],
        rows,
    )


def plot(runs: Runs, guaranteed: int, path: Path) -> None:
    """Plot the fraction of texts with a run of at least n tokens into ``path``.

    Raises:
        UserError: matplotlib is not installed, or does not support the format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("Charts need matplotlib: pip install matplotlib.") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    temperatures = sorted({temperature for _, temperature in runs})
    for (split, temperature), written in runs.items():
        lengths = range(guaranteed, max(guaranteed + 50, *(one.longest for one in written)) + 2)
        shares = [100 * _with_run(written, length) for length in lengths]
        colour = f"C{temperatures.index(temperature)}"
        style = "-" if split == "train" else "--"
        axes.plot(lengths, shares, style, color=colour, label=f"{SPLITS[split]}, T = {temperature:g}")
    axes.set(xlabel="length of the run, in code tokens", ylabel="texts with such a run, %", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def results(subject: Subject, runs: Runs, *, max_new_tokens: int, seed: int, guaranteed: int) -> list[Result]:
    """Publishable results: ``verbatim`` by temperature, and ``memorization``."""
    found = []
    of_prompts = {"prompt_tokens": PROMPT_TOKENS, "seed": seed}
    of_texts = {"max_new_tokens": max_new_tokens, "guaranteed_tokens": guaranteed, **of_prompts}
    for (split, temperature), written in runs.items():
        copied = {one.excerpt.name: (1, float(one.longest > 0)) for one in written}
        found.append(_result(subject, "verbatim", split, {"temperature": temperature, **of_texts}, copied))
        if temperature == 0:
            exactly = {one.excerpt.name: (1, float(one.right == 1)) for one in written}
            settings = {"following_tokens": FOLLOWING_TOKENS, **of_prompts}
            found.append(_result(subject, "memorization", split, settings, exactly))
    return found


def _result(subject: Subject, benchmark: str, split: Split, settings: dict[str, Any], tasks: Tasks) -> Result:
    of_model = (subject.model, subject.revision, subject.sha)
    return Result(benchmark, SPLITS[split], *of_model, settings, subject.environment, tasks)


def _with_run(written: Sequence[Written], length: int) -> float:
    return _share(written, lambda one: one.longest >= length)


def _share(written: Sequence[Written], has: Callable[[Written], bool]) -> float:
    return sum(map(has, written)) / len(written)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
