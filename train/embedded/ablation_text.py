"""The text and tables of ``docs/ablation.md``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from santacoder.experiments import EXPERIMENTS

SETTINGS = ("n_layer", "n_embd", "sequence_length", "batch_size", "steps")  # that the page names
_DIRECTION = {"bits-per-byte": -1, "infilling": 1, "bodies": 1}


def document(
    metrics: Mapping[str, str],
    rows: Sequence[Any],
    found: Mapping[str, Mapping[str, Any]],
    paper: Mapping[str, Sequence[float]],
    megabytes: Mapping[str, float],
    settings: Mapping[str, int],
    n_tasks: int,
    stages: str,
) -> str:
    """Write the page.

    Args:
        metrics: the titles of the columns by metric.
        rows: a :class:`train.embedded.ablation.Row` for each branch.
        found: the differences by metric and branch.
        paper: the paper's scores by branch.
        megabytes: the size of the training files by branch.
        settings: the :data:`SETTINGS` of the run of ``fim``.
        n_tasks: the number of infilling tasks in each language.
        stages: the table of the stages' times.
    """
    tokens = settings["steps"] * settings["batch_size"] * settings["sequence_length"]
    return f"""# Ablation study

This page repeats the SantaCoder paper's ablation at a small scale. The paper (arXiv 2301.03988, section 6) compares
attention, objective and data filters at 1.1 B parameters and 118 B tokens a model. Here the same eight experiments use
one small architecture ({settings["n_layer"]} layers of {settings["n_embd"]}, {settings["sequence_length"]} positions)
and {tokens / 1e6:.2f} M tokens each (`final` twice that). They are the branches of `santacoder/nano`.

`python -m train.embedded.ablation` writes this page from the results of `python -m train.embedded`.

**What it shows.** The training and evaluation code works for all eight experiments. Effects are visible only if they
exceed the difference between two seeds. The page can neither confirm nor refute the paper, whose scores count programs
that pass tests: no model of this size writes such programs.

## Scores
{_score_table(metrics, rows, megabytes)}

- Scores are means over Python, Java and JavaScript, with the range over the seeds.
- Bits per byte are measured on the files of the held-out packages after the base filters, the same for all branches;
  less is better.
- {_infilling(metrics, n_tasks)}
- Bodies that parse: bodies are generated greedily for 100 held-out functions of each language, and parsed by `ast`,
  javac's parser and node.
- Files: the megabytes that the filters left for training.

![differences](images/ablation.svg)

![learning curves](images/ablation-loss.svg)

## Comparison with the paper
{_agreement_table(metrics, found, paper)}

Differences are from `fim`, with 95 % intervals. The deviation between seeds is estimated from the rows with several
seeds and assumed to be the same for all (Student's t). A difference within its interval may be chance. One outside may
be, too: there are few seeds to estimate from, and six comparisons in each column. The paper's column is HumanEval
pass@100, averaged over the languages; the paper gives no intervals.

{_summary(found, paper)}

## Time and cost
{stages}"""


def _infilling(metrics: Mapping[str, str], n_tasks: int) -> str:
    if "infilling" not in metrics:
        return (
            f"Lines filled in have no column, because no branch filled in any of the first {n_tasks} tasks by name of\n"
            "  the paper's infilling benchmark in any language (PSM, T 0.2)."
        )
    return (
        f"Lines filled in: the first {n_tasks} tasks by name of the paper's infilling benchmark in each language\n"
        "  (PSM, T 0.2). `no-fim` never saw the sentinel tokens of infilling."
    )


def _score_table(metrics: Mapping[str, str], rows: Sequence[Any], megabytes: Mapping[str, float]) -> str:
    lines = _heading("branch", "what it is", "files, MB", "seeds", *metrics.values())
    for row in rows:
        seeds = len(row.scores["bits-per-byte"])
        scores = [_spread(row.scores[metric], _unit(metric)) for metric in metrics]
        lines.append(
            f"| {row.branch} | {EXPERIMENTS[row.branch].description} | {megabytes[row.branch]:.0f} | {seeds} "
            f"| {' | '.join(scores)} |"
        )
    return "\n".join(lines)


def _agreement_table(
    metrics: Mapping[str, str], found: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Sequence[float]]
) -> str:
    lines = _heading("branch", *metrics.values(), "paper, pass@100")
    for branch in (branch for branch in paper if branch != "fim"):
        change = _paper_change(paper, branch)
        cells = [_difference(found[metric][branch], metric) for metric in metrics]
        lines.append(f"| {branch} | {' | '.join(cells)} | {change:+.3f} |")
    return "\n".join(lines)


def _heading(*titles: str) -> list[str]:
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def _summary(found: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Sequence[float]]) -> str:
    """A sentence for each branch: whether the difference has the same direction as in the paper."""
    sentences = []
    for branch in (branch for branch in paper if branch != "fim"):
        bits, change = found["bits-per-byte"][branch], _paper_change(paper, branch)
        here = "worse than" if bits.value > 0 else "better than"
        there = "worse" if change < 0 else "better"
        if not bits.is_clear:
            verdict = "is not distinguishable from `fim` in bits per byte here"
        elif (bits.value > 0) == (change < 0):
            verdict = f"is clearly {here} `fim` in bits per byte, as its pass@100 is {there} in the paper"
        else:
            verdict = f"is clearly {here} `fim` in bits per byte, whereas its pass@100 is {there} in the paper"
        sentences.append(f"- `{branch}` {verdict} ({bits.value:+.3f}; paper {change:+.3f}).")
    return "\n".join(sentences)


def _paper_change(paper: Mapping[str, Sequence[float]], branch: str) -> float:
    return statistics.mean(paper[branch]) - statistics.mean(paper["fim"])


def _difference(one: Any, metric: str) -> str:
    unit = _unit(metric)
    text = f"{one.value:+{unit}} ± {one.margin:{unit}}"
    if not one.is_clear:
        return text
    return f"**{text}** ({'better' if one.value * _DIRECTION[metric] > 0 else 'worse'})"


def _unit(metric: str) -> str:
    return ".3f" if metric == "bits-per-byte" else ".1%"


def _spread(scores: Sequence[float], unit: str) -> str:
    mean = f"{statistics.mean(scores):{unit}}"
    return mean if len(scores) == 1 else f"{mean} ({min(scores):{unit}} … {max(scores):{unit}})"
