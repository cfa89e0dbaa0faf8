"""The words and tables of ``docs/ablation.md``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from santacoder.experiments import EXPERIMENTS

_DIRECTION = {"bits-per-byte": -1, "infilling": 1, "bodies": 1}


def document(
    rows: Sequence[Any],
    found: Mapping[str, Mapping[str, Any]],
    paper: Mapping[str, Sequence[float]],
    megabytes: Mapping[str, float],
    settings: Mapping[str, Any],
    n_tasks: int,
    stages: str,
) -> str:
    """All of it. ``rows`` are :class:`train.embedded.ablation.Row`, ``found`` its differences by metric and branch."""
    tokens = settings["steps"] * settings["batch_size"] * settings["sequence_length"]
    return f"""# The ablation, repeated
The SantaCoder paper (arXiv 2301.03988, section 6) compares attention, objective and data filters at 1.1 B parameters
and 118 B tokens a model. Here are the same eight experiments with one small architecture ({settings["n_layer"]} layers
of {settings["n_embd"]}, {settings["sequence_length"]} positions) and {tokens / 1e6:.2f} M tokens each (`final` twice
that): the branches of `santacoder/nano`. This page is written by `python -m train.embedded.ablation` from the results
that `python -m train.embedded` leaves.

**What it can tell.** That the machinery works for all eight, and effects that are larger than the difference between
two seeds of a model that has barely begun to learn. It can neither confirm nor refute the paper, whose scores are of
programs that pass tests: no model of this size writes such. These models await a GPU run by the same command,
`python -m train.embedded --preset gpu`.

## Scores
{_score_table(rows, megabytes)}

Means over Python, Java and JavaScript, with the range over the seeds. Bits per byte are of the files of the held-out
packages after the base filters, the same for all branches (less is better). Lines are the first {n_tasks} tasks by name
of the paper's infilling benchmark in each language (PSM, T 0.2); bodies are written greedily for 100 held-out
functions of each and parsed by `ast`, javac's parser and node. `no-fim` never saw the marks of infilling. The
megabytes are those that the filters left for training, of which each model read but a part.

![differences](images/ablation.svg)

![learning curves](images/ablation-loss.svg)

## What agrees
{_agreement_table(found, paper)}

Differences are from `fim`, with 95 % intervals: the deviation between seeds is estimated from the rows with several of
them and taken to hold for all (Student's t). A difference within its interval may be chance,
and one outside may be too: there are few seeds to estimate from, and six comparisons in each column. The paper's is
that of HumanEval pass@100, averaged over the languages; it gives no intervals.

{_summary(found, paper)}

## Time and cost
{stages}"""


def _score_table(rows: Sequence[Any], megabytes: Mapping[str, float]) -> str:
    lines = [
        "| branch | what it is | files, MB | seeds | bits per byte | lines filled in | bodies that parse |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        bits, infilling, bodies = (row.scores[metric] for metric in ("bits-per-byte", "infilling", "bodies"))
        lines.append(
            f"| {row.branch} | {EXPERIMENTS[row.branch].description} | {megabytes[row.branch]:.0f} | {len(bits)} "
            f"| {_spread(bits, '.3f')} | {_spread(infilling, '.1%')} | {_spread(bodies, '.1%')} |"
        )
    return "\n".join(lines)


def _agreement_table(found: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Sequence[float]]) -> str:
    lines = [
        "| branch | bits per byte | lines filled in | bodies that parse | paper, pass@100 |",
        "|---|---|---|---|---|",
    ]
    for branch in (branch for branch in paper if branch != "fim"):
        change = _paper_change(paper, branch)
        cells = [_difference(found[metric][branch], metric) for metric in _DIRECTION]
        lines.append(f"| {branch} | {' | '.join(cells)} | {change:+.3f} |")
    return "\n".join(lines)


def _summary(found: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Sequence[float]]) -> str:
    """A sentence for each branch: whether what is seen here points where the paper's scores do."""
    sentences = []
    for branch in (branch for branch in paper if branch != "fim"):
        bits, change = found["bits-per-byte"][branch], _paper_change(paper, branch)
        here = "worse than" if bits.value > 0 else "better than"
        there = "worse" if change < 0 else "better"
        if not bits.is_clear:
            verdict = "cannot be told from `fim` in bits per byte here"
        elif (bits.value > 0) == (change < 0):
            verdict = f"is clearly {here} `fim` in bits per byte, as its pass@100 is {there} in the paper"
        else:
            verdict = f"is clearly {here} `fim` in bits per byte, whereas its pass@100 is {there} in the paper"
        sentences.append(f"- `{branch}` {verdict} ({bits.value:+.3f}; paper {change:+.3f}).")
    return "\n".join(sentences)


def _paper_change(paper: Mapping[str, Sequence[float]], branch: str) -> float:
    return statistics.mean(paper[branch]) - statistics.mean(paper["fim"])


def _difference(one: Any, metric: str) -> str:
    unit = ".3f" if metric == "bits-per-byte" else ".1%"
    text = f"{one.value:+{unit}} ± {one.margin:{unit}}"
    if not one.is_clear:
        return text
    return f"**{text}** ({'better' if one.value * _DIRECTION[metric] > 0 else 'worse'})"


def _spread(scores: Sequence[float], unit: str) -> str:
    mean = f"{statistics.mean(scores):{unit}}"
    return mean if len(scores) == 1 else f"{mean} ({min(scores):{unit}} … {max(scores):{unit}})"
