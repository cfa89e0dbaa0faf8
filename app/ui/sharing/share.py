"""The Share button: a permalink for what a pane shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from app.attribution_indexes import Indexes
from app.errors import ShareError, ShareRefused
from app.generation.records import Comparison, Generation
from app.generation.task import Progress
from app.limits import RateLimits
from app.shares.models import MAX_CODE, MAX_TITLE, Receipt, suggested_title
from app.shares.secrets_check import Finding, confidential, warning
from app.shares.store import ShareStore
from app.ui.code_pane.controls import CodePane
from app.ui.code_pane.origin import origins_to_share
from app.ui.compare.pane import ComparePane, comparison_of
from app.ui.components import QUIET, Updates, failure, status_line
from app.ui.html import render
from app.ui.sharing.community import discussion_address

_EXPLANATION = (
    "Anyone who has the link or opens the Gallery can see the code, what the model wrote with its probabilities, the "
    "parameters, the exact commit, and the training files that match."
)
_CHANGED = "The pane has changed since you pressed Share. Look at it again before you share it. "


@dataclass(frozen=True)
class _Content:
    """The shareable content of a pane: its generations with the candidate that is shown, a suggested title, and a
    function that stores it under a title.
    """

    generations: tuple[Generation, ...]
    candidate: int
    title: str
    add: Callable[[str], Receipt] = field(compare=False)

    @property
    def codes(self) -> list[str]:
        """The code that is shown, of each generation."""
        return [generation.code(self.candidate) for generation in self.generations]

    @property
    def other_codes(self) -> list[str]:
        """The code of the candidates that are not shown; they become public, too."""
        return [
            generation.code(index)
            for generation in self.generations
            for index in range(len(generation.candidates))
            if index != self.candidate
        ]

    def confidential(self) -> list[Finding]:
        found = dict.fromkeys(finding for code in self.codes for finding in confidential(code))
        others = (finding for code in self.other_codes for finding in confidential(code) if finding not in found)
        in_others = (Finding(f"{kind} in another candidate", line) for kind, line in others)
        return list(dict.fromkeys([*found, *in_others]))


def share_code(pane: CodePane, store: ShareStore, limits: RateLimits, indexes: Indexes) -> None:
    """Add sharing of a generation to ``pane``."""

    def content(generation: Generation | None, index: int) -> _Content | None:
        if generation is None or not generation.candidates:
            return None

        def add(title: str) -> Receipt:
            return store.add(generation, title, index, origins_to_share(generation, index, indexes))

        return _Content((generation,), index, suggested_title(generation), add)

    _share_controls(pane.name, pane.share, pane.more, [pane.generation, pane.index], content, limits)


def share_comparison(pane: ComparePane, store: ShareStore, limits: RateLimits) -> None:
    """Add sharing of a comparison to ``pane``."""

    def content(results: tuple[list[Progress], list[str]]) -> _Content | None:
        comparison: Comparison | None = comparison_of(results[0])
        if comparison is None:
            return None
        title = suggested_title(comparison.first)
        return _Content(comparison.generations, 0, title, lambda title: store.add(comparison, title))

    _share_controls("compare", pane.share, pane.actions, [pane.results], content, limits)


def _share_controls(
    name: str,
    share: gr.Button,
    actions: gr.Row,
    inputs: list[gr.State],
    content: Callable[..., _Content | None],
    limits: RateLimits,
) -> None:
    """The panel that ``share`` opens in the ``actions`` of the pane ``name``. ``inputs`` are the arguments of
    ``content``."""
    with actions, gr.Column(visible=False, elem_id=f"{name}-share-panel", elem_classes="share-panel") as panel:
        notice = gr.HTML(elem_id=f"{name}-share-notice")
        with gr.Row(visible=False, elem_classes="share-form") as form:
            title = gr.Textbox(
                label="Title", max_length=MAX_TITLE, elem_id=f"{name}-share-title", min_width=200, scale=3
            )
            publish = gr.Button("Create link", variant="primary", elem_id=f"{name}-share-publish", min_width=120)
        close = gr.Button("Close", elem_id=f"{name}-share-close", size="sm")
    asked = gr.State(None)  # the content that the panel tells of
    outputs = [panel, notice, form, title, publish, asked]
    shown: Updates = {panel: gr.Column(visible=True)}
    no_form: Updates = {form: gr.Row(visible=False)}

    def ask(*values: Any) -> Updates:
        """Show what will become public, before it does."""
        found = content(*values)
        if found is None:
            return {**shown, notice: failure("There is nothing to share yet: press Run first."), **no_form}
        longest = max(map(len, [*found.codes, *found.other_codes]))
        if longest > MAX_CODE:
            sentence = f"The code has {longest:,} characters; at most {MAX_CODE:,} can be shared."
            return {**shown, notice: failure(sentence), **no_form}
        return {**shown, **offer(found)}

    def offer(found: _Content, before: str = "") -> Updates:
        """The form for ``found``; the sentence ``before`` comes before the others."""
        private = found.confidential()
        return {
            notice: failure(before + warning(private)) if private else status_line(before + _EXPLANATION),
            form: gr.Row(visible=True),
            title: found.title,
            publish: gr.Button("Share anyway" if private else "Create link"),
            asked: found,
        }

    def give(chosen_title: str, looked_at: _Content | None, request: gr.Request, *values: Any) -> Updates:
        try:
            found = content(*values)
            if found is None:
                raise ShareRefused("There is nothing left to share: press Run again.")
            if found != looked_at:  # another run, or another candidate
                return offer(found, _CHANGED)
            limits.count("share", request.client.host)
            receipt = found.add(chosen_title)
        except ShareError as error:
            return {notice: failure(str(error))}
        permalink = f"{request.request.base_url}s/{receipt.slug}"
        discussion = discussion_address(chosen_title or found.title, found.generations, found.candidate, permalink)
        deletion = f"{permalink}/delete/{receipt.deletion_token}"
        links = render("share_links", pane=name, permalink=permalink, deletion=deletion, discussion=discussion)
        return {notice: links, **no_form}

    share.click(ask, inputs, outputs, **QUIET)
    gr.on([publish.click, title.submit], give, [title, asked, *inputs], outputs, **QUIET)
    close.click(lambda: gr.Column(visible=False), None, panel, **QUIET)
