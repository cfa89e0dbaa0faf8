"""The branches of a model as a table: description, training progress, scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from app.branch_facts import Branch, Curve
from app.shares.rates import Rate
from app.ui.branches.measures import Heading, is_lower_better, name_of, place_of
from app.ui.html import percent, render
from santacoder.checkpoints import RevisionScore
from santacoder.experiments import PUBLISHED

LANGUAGE_NAMES = {"python": "Python", "java": "Java", "javascript": "JavaScript"}
_NO_SHARES = ("bits per byte", "BLEU")
_UNKNOWN = "–"
_NO_RATES: Mapping[str, Rate] = MappingProxyType({})
# columns that are left out if they tell nothing, and what is in their cells
_FACTS = {
    "attention": ("attention", "shape"),
    "objective": ("objective",),
    "files": ("files",),
    "tokens": ("tokens", "steps"),
    "loss": ("loss",),
}
# size of a sparkline, in pixels
_WIDTH, _HEIGHT = 60, 14


def branch_table(
    branches: Sequence[Branch],
    chosen: str,
    win_rates: Mapping[str, Rate] = _NO_RATES,
    acceptance: Mapping[str, Rate] = _NO_RATES,
) -> str:
    """HTML with a button for each branch; the button of ``chosen`` is pressed. ``win_rates`` of blind votes and
    ``acceptance`` of suggestions in editors are by branch."""
    shown = _shown(branches)
    rows = [_row(branch, branches, shown, win_rates, acceptance) for branch in branches]
    return render(
        "branch_table",
        columns=[
            {
                "name": name_of(heading),
                "is_lower_better": is_lower_better(heading),
                "languages": [language_name(name) for name in languages],
            }
            for heading, languages in shown.items()
        ],
        rows=rows,
        informative={name for name, parts in _FACTS.items() if _is_informative(rows, parts)},
        has_votes=any(row.votes for row in rows),
        has_use=any(row.use for row in rows),
        chosen=chosen,
    )


def about_branch(repo_id: str, branch: Branch, branches: Sequence[Branch], others: Sequence[str] = ()) -> str:
    """HTML: the branch's description, the scores without a column in the table, and what is missing. ``others`` are
    models that have several branches, if this one does not.
    """
    further = [heading for heading in _languages([branch]) if heading not in _shown(branches)]
    languages = [name for name in LANGUAGE_NAMES if any(_find(branch, heading, name) for heading in further)]
    return render(
        "branch_about",
        repo_id=repo_id,
        branch=branch,
        others=others,
        languages=[language_name(name) for name in languages],
        further=[
            (
                name_of(heading),
                is_lower_better(heading),
                [_cell([branch], branch, heading, name) for name in languages],
            )
            for heading in further
        ],
        published=repo_id == PUBLISHED and branch.scores,
    )


@dataclass(frozen=True)
class _Row:
    """The cells of a branch; ``scores`` has the scores of each column, by language."""

    name: str
    alias: str
    attention: str
    shape: str
    objective: str
    files: str
    tokens: str
    steps: str
    loss: str
    sparkline: str
    votes: _Cell | None
    use: _Cell | None
    scores: list[list[_Cell | None]]


@dataclass(frozen=True)
class _Cell:
    """A score; ``share`` is its percentage of the largest score in the column, or None if it is the only one, or less
    is better: a longer bar would be the worse one."""

    text: str
    interval: str
    is_best: bool
    share: int | None


def _is_informative(rows: Sequence[_Row], parts: Sequence[str]) -> bool:
    """Whether a column says something: not the same of several branches, nor nothing at all."""
    cells = {"".join(getattr(row, part) for part in parts) for row in rows}
    return len(cells) > 1 or (len(rows) == 1 and cells != {_UNKNOWN})


def _row(
    branch: Branch,
    branches: Sequence[Branch],
    shown: dict[Heading, list[str]],
    win_rates: Mapping[str, Rate],
    acceptance: Mapping[str, Rate],
) -> _Row:
    experiment, config = branch.experiment, branch.config
    attention = config.multi_query if config else experiment.multi_query if experiment else None
    tokens, steps = _length(branch)
    curve = branch.curves.get("validation_loss", [])
    return _Row(
        name=branch.name,
        alias="final" if experiment and branch.name == "main" else "",
        attention=_UNKNOWN if attention is None else "multi-query" if attention else "multi-head",
        shape=f"{config.n_layer} layers of {config.n_embd:,}" if config else "",
        objective=experiment.objective if experiment else _UNKNOWN,
        files=experiment.data if experiment else _UNKNOWN,
        tokens=tokens,
        steps=steps,
        loss=f"{curve[-1][1]:.3f}" if curve else _UNKNOWN,
        sparkline=_sparkline(curve) if len(curve) > 2 else "",
        votes=_rate(win_rates, branch.name),
        use=_rate(acceptance, branch.name),
        scores=[[_cell(branches, branch, heading, name) for name in names] for heading, names in shown.items()],
    )


def _rate(rates: Mapping[str, Rate], branch: str) -> _Cell | None:
    rate = rates.get(branch)
    if rate is None:
        return None
    low, high = rate.interval
    best = max(each.share for each in rates.values())
    return _Cell(
        text=percent(rate.share),
        interval=f"{100 * low:.0f} – {100 * high:.0f}, of {rate.n:,}",
        is_best=len(rates) > 1 and rate.share == best,
        share=round(100 * rate.share),
    )


def _length(branch: Branch) -> tuple[str, str]:
    """Tokens and steps: of the newest commit or, as the published commits do not say them, of the paper."""
    if branch.newest and branch.newest.tokens:
        tokens = branch.newest.tokens
        short = f"{tokens / 1e9:.1f} B" if tokens >= 1e9 else f"{tokens / 1e6:.1f} M"
        return short, f"{branch.newest.step or 0:,} steps"
    if branch.experiment and branch.is_published:
        return f"{118 * branch.experiment.length} B", f"{300 * branch.experiment.length},000 steps"
    return _UNKNOWN, ""


def _sparkline(curve: Curve) -> str:
    """The points of a line in SVG notation."""
    steps, values = [step for step, _ in curve], [value for _, value in curve]
    across, down = _WIDTH / max(1, steps[-1] - steps[0]), _HEIGHT / ((max(values) - min(values)) or 1)
    return " ".join(
        f"{across * (step - steps[0]):.1f},{1 + down * (max(values) - value):.1f}"
        for step, value in curve[:: max(1, len(curve) // _WIDTH)]
    )


def _shown(branches: Sequence[Branch]) -> dict[Heading, list[str]]:
    """The columns and their languages: the most common ones among the branches with scores, without those in which all
    have the same.
    """
    count = Counter(heading for branch in branches for heading in _languages([branch]))
    most = max(count.values(), default=0)
    return {
        heading: names
        for heading, names in _languages(branches).items()
        if count[heading] * 2 > most and _tells_apart(branches, heading, names)
    }


def _tells_apart(branches: Sequence[Branch], heading: Heading, languages: Sequence[str]) -> bool:
    scores = [[_find(branch, heading, name) for name in languages] for branch in branches]
    values = {tuple(score.value for score in row if score) for row in scores if any(row)}
    return len(values) > 1 or len(branches) == 1


def _languages(branches: Sequence[Branch]) -> dict[Heading, list[str]]:
    """The benchmarks and metrics of the branches in their order, and their languages."""
    found: dict[Heading, dict[str, None]] = {}
    for score in (score for branch in branches for score in branch.scores):
        found.setdefault(_heading(score), {})[score.language] = None
    order = list(LANGUAGE_NAMES)
    return {
        heading: sorted(found[heading], key=lambda name: order.index(name) if name in order else len(order))
        for heading in sorted(found, key=place_of)
    }


def _cell(branches: Sequence[Branch], branch: Branch, heading: Heading, language: str) -> _Cell | None:
    score = _find(branch, heading, language)
    if score is None:
        return None
    values = [found.value for other in branches if (found := _find(other, heading, language))]
    best = min(values) if is_lower_better(heading) else max(values)
    has_bar = len(values) > 1 and not is_lower_better(heading)
    return _Cell(
        text=value_of(score),
        interval=interval_of(score),
        is_best=len(set(values)) > 1 and score.value == best,
        share=round(100 * score.value / (max(values) or 1)) if has_bar else None,
    )


def _find(branch: Branch, heading: Heading, language: str) -> RevisionScore | None:
    """The score; for several temperatures, the first that was measured."""
    matching = (score for score in branch.scores if _heading(score) == heading and score.language == language)
    return next(matching, None)


def value_of(score: RevisionScore) -> str:
    """The score as it is shown."""
    return _number(score.value, score.metric) + ("" if score.metric in _NO_SHARES else " %")


def interval_of(score: RevisionScore) -> str:
    """Its interval in the same unit, if it has one."""
    return " – ".join(_number(end, score.metric) for end in score.interval or ())


def _number(value: float, metric: str) -> str:
    """A score in its usual form: shares in per cent, BLEU times a hundred."""
    return f"{value:.3f}" if metric == "bits per byte" else f"{value * 100:.1f}"


def _heading(score: RevisionScore) -> Heading:
    return score.benchmark, score.metric


def language_name(name: str) -> str:
    """The name of a language, or of all together."""
    return {**LANGUAGE_NAMES, "held-out": "all"}.get(name, name)
