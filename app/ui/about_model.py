"""About a model and branch: what it is for, its limits, licence, training, scores and citation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.branch_facts import Branch
from app.ui.branches.measures import name_of, place_of
from app.ui.branches.table import interval_of, language_name, value_of
from app.ui.html import render
from santacoder import checkpoints
from santacoder.checkpoint_files import read_text
from santacoder.checkpoints import RevisionScore
from santacoder.errors import CheckpointError
from santacoder.experiments import PUBLISHED
from train.evaluate.results.published import published_scores

_LARGEST_CARD = 1 << 20
_CITATION = """@article{benallal2023santacoder,
  title   = {SantaCoder: don't reach for the stars!},
  author  = {Ben Allal, Loubna and Li, Raymond and Kocetkov, Denis and others},
  journal = {arXiv preprint arXiv:2301.03988},
  year    = {2023},
  url     = {https://arxiv.org/abs/2301.03988}
}"""
# the paper's sections 3 to 5
_PUBLISHED_TRAINING = (
    "118 B tokens in 300,000 steps (main: 236 B in 600,000), in fp16 on 96 V100 GPUs. Main took 6.2 days and 2.1e21 "
    "FLOP."
)
_PUBLISHED_DATA = (
    "The Python, Java and JavaScript files of The Stack 1.1, without those of people who opted out, files with very "
    "long lines or little text, and near-duplicates. E-mail addresses, IP addresses and keys were replaced."
)
_PUBLISHED_LICENCE = (
    "BigCode OpenRAIL-M: free to use and to pass on, together with its list of forbidden uses, such as generating "
    "malicious code."
)
_FOR = (
    "Continuing code and filling gaps in Python, Java and JavaScript: begin with code, a comment or a signature.",
    "Continuing code in Python, Java and JavaScript: begin with code, a comment or a signature. This branch never saw "
    "a gap in its training, so it fills gaps badly.",
)
# as classifiers and SPDX identifiers name them
_LICENCE_FAMILIES = (("apache", "Apache-2.0"), ("bsd", "BSD"), ("mit", "MIT"), ("python software", "PSF"))
_LIMITS = "It writes code that looks right and may be wrong, insecure, or copied from its training files."


@dataclass(frozen=True)
class _Fact:
    title: str
    text: str


def about_model(repo_id: str, branch: Branch, store: Path) -> str:
    """HTML: the facts of the revision's card or, for the published model, of the paper, with or without its weights."""
    facts = _published(branch) if repo_id == PUBLISHED else _from_card(repo_id, branch, store)
    return render(
        "about_model",
        repo_id=repo_id,
        branch=branch.name,
        good_for=_FOR[branch.experiment is not None and not branch.experiment.fill_in_the_middle],
        facts=facts,
        scores=_beside_the_paper(branch.scores),
        is_published=repo_id == PUBLISHED,
        citation=_CITATION,
    )


def _published(branch: Branch) -> list[_Fact]:
    filters = branch.experiment.data if branch.experiment else ""
    return [
        _Fact("Limits", _LIMITS),
        _Fact("Licence", _PUBLISHED_LICENCE),
        _Fact("Training", _PUBLISHED_TRAINING),
        _Fact("Data", f"{_PUBLISHED_DATA} This branch: {filters}." if filters else _PUBLISHED_DATA),
    ]


def _from_card(repo_id: str, branch: Branch, store: Path) -> list[_Fact]:
    try:
        card = read_text(
            checkpoints.resolve(repo_id, branch.name, store=store, download=False) / "README.md", _LARGEST_CARD
        )
    except CheckpointError:
        card = ""
    sections = _sections(card)
    settings = {row[0]: row[1] for row in _rows(sections.get("Training", "")) if len(row) == 2}
    facts = [
        _Fact("Limits", _prose(sections.get("Limits", "")) or _LIMITS),
        _Fact("Licence", _prose(sections.get("Licence", ""))),
        _Fact("Training", _training(branch, settings)),
        _Fact("Data", _data(sections.get("Data", ""), is_further=bool(settings.get("base")))),
    ]
    return [fact for fact in facts if fact.text]


def _training(branch: Branch, settings: dict[str, str]) -> str:
    newest, config = branch.newest, branch.config
    if newest is None or config is None:
        return ""
    parts = [f"{config.n_parameters / 1e6:,.1f} M parameters"]
    if newest.tokens:
        # six operations a parameter and token (Kaplan et al. 2020, section 2.1)
        flop = 6 * config.n_parameters * newest.tokens
        parts += [f"{newest.tokens / 1e6:,.1f} M tokens in {newest.step or 0:,} steps", f"about {flop:.1e} FLOP"]
    parts += [f"{name} {settings[name]}" for name in ("precision", "device", "optimizer") if settings.get(name)]
    base = f" Further training of {settings['base']}." if settings.get("base") else ""
    return f"{', '.join(parts)}.{base}"


def _data(section: str, *, is_further: bool) -> str:
    """The number of packages and files, and what their licences are (of the last training), from the card."""
    rows = [row for row in _rows(section) if len(row) == 5 and row[3].replace(",", "").isdigit()]
    if not rows:
        return ""
    files = sum(int(row[3].replace(",", "")) for row in rows)
    licences = ", ".join(name for name, _ in Counter(_licence_family(row[2]) for row in rows).most_common(3))
    when = " in the last training" if is_further else ""
    return (
        f"{files:,} files of {len(rows)} packages{when}, mostly under {licences}; the card lists them. Filtered, "
        "without near-duplicates, and with secrets replaced."
    )


def _licence_family(stated: str) -> str:
    """One name for a licence that packages state in different words."""
    return next((name for word, name in _LICENCE_FAMILIES if stated.lower().startswith(word)), stated)


def _sections(card: str) -> dict[str, str]:
    """The text below each second-level heading."""
    parts = re.split(r"^## (.*)$", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _rows(section: str) -> list[list[str]]:
    """The cells of the tables' rows."""
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def _prose(section: str) -> str:
    """The text without tables and images."""
    lines = [line.strip() for line in section.splitlines() if not line.startswith(("|", "!"))]
    return " ".join(filter(None, lines))


def _beside_the_paper(scores: Sequence[RevisionScore]) -> list[tuple[str, str, str]]:
    """The name and value of each score, and the value of the published model, if the paper has it."""
    published = {(score.benchmark, score.language, score.metric): score for score in published_scores("main")}
    shown = []
    for score in sorted(scores, key=lambda score: place_of((score.benchmark, score.metric))):
        language = language_name(score.language)
        interval = f" ({interval_of(score)})" if score.interval else ""
        paper = published.get((score.benchmark, score.language, score.metric))
        name = f"{name_of((score.benchmark, score.metric))}, {language}"
        shown.append((name, f"{value_of(score)}{interval}", "–" if paper is None else value_of(paper)))
    return shown
