"""The Origin tab: attribution of a pane's code, after each generation and on request."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from app.attribution_indexes import Attribution, Index, Indexes
from app.errors import sentence_for
from app.generation.records import Generation, Language
from app.ui.code_pane.controls import CodePane, Controls
from app.ui.components import LATEST, QUIET, place
from santacoder.attribution import Searched, Source, Span
from santacoder.attribution.origins import link, what_it_asks
from santacoder.errors import AttributionError, UserError

_MAX_LINES = 60
NOT_CHECKED = '<p class="empty">After each run, the generated code is looked up in the training files of the model.</p>'


def connect_origins(pane: CodePane, controls: Controls, recorder: gr.HTML) -> None:
    """Update badge and tab with the shown code. ``recorder`` changes with every finished generation."""

    def check(code: str, written: list[tuple[int, int]], language: Language, repo_id: str) -> tuple[str, str]:
        try:
            attribution = controls.indexes.check(repo_id, code, language)
            if attribution is None:
                return unknown(f"There is no attribution index for {repo_id}."), NOT_CHECKED
            return _told(code, written, attribution, repo_id, controls.indexes)
        except AttributionError as error:
            return unknown(sentence_for(error)), NOT_CHECKED

    def check_generation(generation: Generation | None, index: int) -> tuple[str, str]:
        if generation is None:
            return "", NOT_CHECKED
        return check(generation.code(index), generation.spans(index), generation.language, generation.repo_id)

    outputs = [pane.origin_badge, pane.origins]
    pane.run.click(None, None, pane.origin_badge, js="() => ''", **QUIET)
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
        return _told(code, spans, Attribution.from_json(attribution), generation.repo_id, indexes)
    except (AttributionError, UserError) as error:
        return unknown(sentence_for(error)), NOT_CHECKED


def _told(
    code: str, written: list[tuple[int, int]], attribution: Attribution, repo_id: str, indexes: Indexes
) -> tuple[str, str]:
    found = findings(code, written, attribution, indexes.of(repo_id))
    return badge(found, repo_id), panel(found, repo_id)


class Findings(NamedTuple):
    """The attribution of ``code`` and, for each span, the original lines of its first source if the index has them.
    ``written`` are the model's parts of the code, in characters."""

    code: str
    written: list[tuple[int, int]]
    attribution: Attribution
    originals: list[str | None]


def findings(code: str, written: list[tuple[int, int]], attribution: Attribution, index: Index | None) -> Findings:
    """The findings for ``code``.

    Raises:
        AttributionError: the corpus has changed since it was indexed.
    """
    sources = [span.sources[0] for span in attribution.spans]
    return Findings(code, written, attribution, [index.original(source) if index else None for source in sources])


def badge(found: Findings, repo_id: str) -> str:
    """One line: whether anything was found and what was searched, with the positions that ``written.js`` underlines."""
    spans = found.attribution.spans
    if not spans:
        return f'<p class="badge clean"><b>No match found.</b> {_searched(found.attribution.searched, repo_id)}</p>'
    packages = list(dict.fromkeys(span.sources[0].package for span in spans))
    named = ", ".join(map(html.escape, packages[:3])) + (f" and {len(packages) - 3} more" if len(packages) > 3 else "")
    places = " ".join(f"{place(found.code, span.start)}-{place(found.code, span.end)}" for span in spans)
    passages = "1 passage" if len(spans) == 1 else f"{len(spans)} passages"
    return (
        f'<p class="badge found" data-copied="{places}"><b>{passages} found in training files</b> of {named}: '
        "underlined in the code, listed below under <i>Origin</i>.</p>"
    )


def unknown(sentence: str) -> str:
    """A badge that says why the code was not checked."""
    return f'<p class="badge unknown"><b>Not checked.</b> {html.escape(sentence)}</p>'


def panel(found: Findings, repo_id: str) -> str:
    """Every span with its sources, their licence terms, and both texts side by side."""
    searched = f'<p class="searched">{_searched(found.attribution.searched, repo_id)}</p>'
    if not found.attribution.spans:
        return f'<p class="empty">No match found.</p>{searched}'
    sections = (
        _section(number, found, span, original)
        for number, (span, original) in enumerate(zip(found.attribution.spans, found.originals, strict=True), 1)
    )
    return f'<div class="origins">{"".join(sections)}</div>{searched}'


def _section(number: int, found: Findings, span: Span, original: str | None) -> str:
    by_model = any(begin < span.end and span.start < end for begin, end in found.written)
    chips = [f"{span.tokens} tokens", f"lines {_lines(found.code, span)}"]
    chips += ["in your own code"] if found.written and not by_model else []
    chips += ["identifiers differ"] if span.sources[0].renamed else []
    chips += ["fingerprints match"] if not span.confirmed else []
    if span.files > 1:
        chips.append(f"in {span.files} files" + (": boilerplate" if span.boilerplate else ""))
    first, *others = span.sources
    more = ""
    if others:
        items = "".join(f"<li>{_source(source)}</li>" for source in others)
        more = f"<details><summary>Also in {len(others)} more</summary><ul>{items}</ul></details>"
    return (
        f'<section class="origin"><h4>{_source(first)}</h4>'
        f'<p class="chips">{"".join(f"<span>{html.escape(chip)}</span>" for chip in chips)}</p>'
        f'<p class="asks"><b>{html.escape(first.licence)}</b> {html.escape(what_it_asks(first.licence))}</p>'
        f"{_side_by_side(number, found.code, span, original)}{more}</section>"
    )


def _source(source: Source) -> str:
    package = f"{source.package} {source.version[:12]}".strip()
    lines = f"lines {source.lines[0]}–{source.lines[1]}"
    where = f"<b>{html.escape(package)}</b> <code>{html.escape(source.path)}</code>, {lines}"
    address = link(source)
    if address is None:
        return where
    return f'{where} <a href="{html.escape(address)}" target="_blank" rel="noopener noreferrer">view source</a>'


def _side_by_side(number: int, code: str, span: Span, original: str | None) -> str:
    """The lines of the code with the span marked, and those of the file."""
    begin = code.rfind("\n", 0, span.start) + 1
    end = code.find("\n", span.end)
    pieces = (code[begin : span.start], code[span.start : span.end], code[span.end : end if end >= 0 else len(code)])
    before, copied, after = map(html.escape, pieces)
    here = before + re.sub(r"\S(?:.*\S)?", lambda line: f"<mark>{line[0]}</mark>", copied) + after
    if original is None:
        source = span.sources[0]
        there = (
            '<p class="no-text">Only fingerprints of the training files are stored here, not their text. '
            f"Compare with lines {source.lines[0]} to {source.lines[1]} of the file.</p>"
        )
    else:
        there = f'<pre tabindex="0">{html.escape(_shortened(original))}</pre>'
    return (
        f'<div class="side-by-side"><figure aria-label="Passage {number}, this code"><figcaption>This code</figcaption>'
        f'<pre tabindex="0">{here}</pre></figure>'
        f'<figure aria-label="Passage {number}, training file"><figcaption>Training file</figcaption>'
        f"{there}</figure></div>"
    )


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
        f"{searched.bytes / 1e6:,.0f} MB) that {html.escape(repo_id)} was trained on. Copies of "
        f"{searched.guaranteed_tokens} tokens or more are always found; shorter ones may be missed."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _names(languages: Sequence[str]) -> str:
    spelled = {"python": "Python", "java": "Java", "javascript": "JavaScript"}
    return html.escape(", ".join(spelled.get(language, language) for language in languages))
