"""The Origin tab: attribution of a pane's code, after each generation and on request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from app.attribution_indexes import Attribution, Index, Indexes
from app.errors import sentence_for
from app.generation.records import Generation, Language
from app.ui.code_pane.controls import NOT_CHECKED, CodePane, Controls
from app.ui.components import LATEST, QUIET, place
from app.ui.html import render
from santacoder.attribution import Searched, Source, Span
from santacoder.attribution.origins import link, what_it_asks
from santacoder.attribution.tokens import COMMENT_STYLES, tokenize
from santacoder.errors import AttributionError, UserError

_MAX_LINES = 60


def connect_origins(pane: CodePane, controls: Controls, recorder: gr.HTML) -> None:
    """Update badge and tab with the shown code. ``recorder`` changes with every finished generation."""

    def check(code: str, written: list[tuple[int, int]], language: Language, repo_id: str) -> tuple[str, str]:
        try:
            attribution = controls.indexes.check(repo_id, code, language)
            if attribution is None:
                return unknown(f"There is no attribution index for {repo_id}."), NOT_CHECKED
            return _told(code, written, language, attribution, repo_id, controls.indexes)
        except AttributionError as error:
            return unknown(sentence_for(error)), NOT_CHECKED

    def check_generation(generation: Generation | None, index: int) -> tuple[str, str]:
        if generation is None:
            return "", NOT_CHECKED
        return check(generation.code(index), generation.spans(index), generation.language, generation.repo_id)

    outputs = [pane.origin_badge, pane.origins]
    gr.on(
        [recorder.change, pane.index.change],
        check_generation,
        [pane.generation, pane.index],
        outputs,
        **LATEST,
    )
    pane.origin_check.click(
        lambda code, language, repo_id: check(code, [], language, repo_id),
        [pane.editor, pane.language, controls.revision.model],
        outputs,
        **QUIET,
    )


def origins_to_share(generation: Generation, index: int, indexes: Indexes) -> str | None:
    """The attribution of a candidate as JSON for a share; None if it cannot be looked up."""
    try:
        found = indexes.check(generation.repo_id, generation.code(index), generation.language)
    except AttributionError:
        return None
    return None if found is None else found.to_json()


def shared_origins(attribution: str | None, generation: Generation, index: int, indexes: Indexes) -> tuple[str, str]:
    """Badge and tab of a share, with the attribution from when it was shared."""
    if attribution is None:
        return unknown("The code was not looked up when it was shared."), NOT_CHECKED
    code, spans = generation.code(index), generation.spans(index)
    try:
        known = Attribution.from_json(attribution)
        return _told(code, spans, generation.language, known, generation.repo_id, indexes)
    except (AttributionError, UserError) as error:
        return unknown(sentence_for(error)), NOT_CHECKED


def _told(
    code: str,
    written: list[tuple[int, int]],
    language: Language,
    attribution: Attribution,
    repo_id: str,
    indexes: Indexes,
) -> tuple[str, str]:
    found = findings(code, written, language, attribution, indexes.of(repo_id))
    return badge(found, repo_id), panel(found, repo_id)


class Findings(NamedTuple):
    """The attribution of ``code`` and, for each span, the original lines of its first source if the index has them.
    ``written`` are the model's parts of the code, in characters."""

    code: str
    written: list[tuple[int, int]]
    language: Language
    attribution: Attribution
    originals: list[str | None]

    @property
    def is_too_short(self) -> bool:
        """Whether what is to be checked, the longest of the model's parts or else the code, is so short that a copy of
        it may be missed."""
        style = COMMENT_STYLES[self.language]
        parts = [self.code[begin:end] for begin, end in self.written] or [self.code]
        longest = max(len(tokenize(part.encode(), style).hashes) for part in parts)
        return longest < self.attribution.searched.guaranteed_tokens


def findings(
    code: str, written: list[tuple[int, int]], language: Language, attribution: Attribution, index: Index | None
) -> Findings:
    """The findings for ``code``.

    Raises:
        AttributionError: the corpus has changed since it was indexed.
    """
    sources = [span.sources[0] for span in attribution.spans]
    originals = [index.original(source) if index else None for source in sources]
    return Findings(code, written, language, attribution, originals)


def badge(found: Findings, repo_id: str) -> str:
    """One line: whether anything was found and what was searched, with the positions that ``written.js`` underlines.
    That nothing was found says little of a short text."""
    spans = found.attribution.spans
    packages = list(dict.fromkeys(span.sources[0].package for span in spans))
    more = f" and {len(packages) - 3} more" if len(packages) > 3 else ""
    return render(
        "origin_badge",
        places=" ".join(f"{place(found.code, span.start)}-{place(found.code, span.end)}" for span in spans),
        passages="1 passage" if len(spans) == 1 else f"{len(spans)} passages",
        packages=", ".join(packages[:3]) + more,
        searched=_searched(found.attribution.searched, repo_id),
        certain_from=found.attribution.searched.guaranteed_tokens,
        is_too_short=found.is_too_short,
    )


def unknown(sentence: str) -> str:
    """A badge that says why the code was not checked."""
    return render("origin_unknown", sentence=sentence)


def panel(found: Findings, repo_id: str) -> str:
    """Every span with its sources, their licence terms, and both texts side by side."""
    passages = [
        _passage(found, span, original) for span, original in zip(found.attribution.spans, found.originals, strict=True)
    ]
    return render("origin", passages=passages, searched=_searched(found.attribution.searched, repo_id))


class _Source(NamedTuple):
    """A place in a training file; ``address`` is where it can be read, if that is known."""

    package_and_version: str
    path: str
    lines: tuple[int, int]
    address: str | None


class _Passage(NamedTuple):
    """A span of the code, what is to be said of it, and both texts. ``here`` are pieces of the code, and whether each
    is copied; ``there`` is None where the index has fingerprints alone."""

    chips: list[str]
    licence: str
    asks: str
    sources: list[_Source]
    here: list[tuple[str, bool]]
    there: str | None


def _passage(found: Findings, span: Span, original: str | None) -> _Passage:
    licence = span.sources[0].licence
    return _Passage(
        chips=_chips(found, span),
        licence=licence,
        asks=what_it_asks(licence),
        sources=[_source(source) for source in span.sources],
        here=_here(found.code, span),
        there=None if original is None else _shortened(original),
    )


def _chips(found: Findings, span: Span) -> list[str]:
    by_model = any(begin < span.end and span.start < end for begin, end in found.written)
    chips = [f"{span.tokens} tokens", f"lines {_lines(found.code, span)}"]
    chips += ["in your own code"] if found.written and not by_model else []
    chips += ["identifiers differ"] if span.sources[0].renamed else []
    chips += ["fingerprints match"] if not span.confirmed else []
    if span.files > 1:
        chips.append(f"in {span.files} files" + (": boilerplate" if span.boilerplate else ""))
    return chips


def _source(source: Source) -> _Source:
    package = f"{source.package} {source.version[:12]}".strip()
    return _Source(package, source.path, source.lines, link(source))


def _here(code: str, span: Span) -> list[tuple[str, bool]]:
    """The lines of the code that have the span: pieces, and whether each is copied, which white space at the ends of
    lines does not count as."""
    begin = code.rfind("\n", 0, span.start) + 1
    end = code.find("\n", span.end)
    pieces, position = [(code[begin : span.start], False)], span.start
    for line in re.finditer(r"\S(?:.*\S)?", code[span.start : span.end]):
        pieces += [(code[position : span.start + line.start()], False), (line[0], True)]
        position = span.start + line.end()
    return [*pieces, (code[position : end if end >= 0 else len(code)], False)]


def _shortened(text: str) -> str:
    lines = text.split("\n")
    rest = len(lines) - _MAX_LINES
    return text if rest <= 0 else "\n".join([*lines[:_MAX_LINES], f"… and {rest} more lines"])


def _lines(code: str, span: Span) -> str:
    first, last = code.count("\n", 0, span.start) + 1, code.count("\n", 0, span.end) + 1
    return str(first) if first == last else f"{first}–{last}"


def _searched(searched: Searched, repo_id: str) -> str:
    how = "" if searched.confirmed else " (fingerprints)"
    return (
        f"Searched{how}: {_count(searched.files, 'file')} of {_count(searched.packages, 'package')} "
        f"({_names(searched.languages)}, "
        f"{searched.bytes / 1e6:,.0f} MB) in the attribution index of {repo_id}. Copies of "
        f"{searched.guaranteed_tokens} tokens or more are always found; shorter ones may be missed."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _names(languages: Sequence[str]) -> str:
    spelled = {"python": "Python", "java": "Java", "javascript": "JavaScript"}
    return ", ".join(spelled.get(language, language) for language in languages)
