"""Share: what a pane shows gets a permalink."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from app.attribution import Indexes
from app.generation import Generation
from app.shares.confidential import confidential, warning
from app.shares.errors import ShareError, ShareRefused
from app.shares.excerpt import suggested_title
from app.shares.limits import MAX_TITLE, RateLimits
from app.shares.share import Receipt
from app.shares.store import ShareStore
from app.ui.attribution import origins_to_share
from app.ui.code_pane import CodePane

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_EXPLANATION = (
    "Everybody who has the link or opens the Gallery sees the code, what the model wrote and how likely it was, the "
    "parameters, the exact commit, and which training files it is like."
)


def share_controls(pane: CodePane, store: ShareStore, limits: RateLimits, indexes: Indexes) -> None:
    """A button among the actions of ``pane``, and what it opens."""
    with pane.actions:
        share = gr.Button("Share", elem_id=f"{pane.name}-share", min_width=72)
        with gr.Column(visible=False, elem_id=f"{pane.name}-share-panel", elem_classes="share-panel") as panel:
            notice = gr.HTML(elem_id=f"{pane.name}-share-notice")
            with gr.Row(visible=False, elem_classes="share-form") as form:
                title = gr.Textbox(
                    label="Title", max_length=MAX_TITLE, elem_id=f"{pane.name}-share-title", min_width=200, scale=3
                )
                publish = gr.Button(
                    "Get the link", variant="primary", elem_id=f"{pane.name}-share-publish", min_width=120
                )
            close = gr.Button("Close", elem_id=f"{pane.name}-share-close", size="sm")
    outputs = [panel, notice, form, title, publish]

    def ask(generation: Generation | None, index: int) -> list[Any]:
        """What will be public, before it is."""
        if generation is None or not generation.candidates:
            return [gr.Column(visible=True), _error("There is nothing to share yet: press Run first."), *_no_form()]
        found = confidential(generation.code(index))
        return [
            gr.Column(visible=True),
            _error(warning(found)) if found else f'<p class="status">{_EXPLANATION}</p>',
            gr.Row(visible=True),
            suggested_title(generation),
            gr.Button("Share it anyway" if found else "Get the link"),
        ]

    def give(generation: Generation | None, index: int, title: str, request: gr.Request) -> list[Any]:
        try:
            if generation is None:
                raise ShareRefused("There is nothing to share any more: press Run again.")
            limits.count("share", request.client.host)
            receipt = store.add(generation, title, index, origins_to_share(generation, index, indexes))
        except ShareError as error:
            return [gr.skip(), _error(str(error)), *[gr.skip()] * 3]
        return [gr.skip(), _links(receipt, str(request.request.base_url)), *_no_form()]

    share.click(ask, [pane.generation, pane.index], outputs, **_QUIET)
    gr.on([publish.click, title.submit], give, [pane.generation, pane.index, title], outputs, **_QUIET)
    close.click(lambda: gr.Column(visible=False), None, panel, **_QUIET)


def _no_form() -> list[Any]:
    return [gr.Row(visible=False), gr.skip(), gr.skip()]


def _error(sentence: str) -> str:
    return f'<p class="status error" role="alert">{html.escape(sentence)}</p>'


def _links(receipt: Receipt, base_url: str) -> str:
    """The two links, each with a button that copies it."""
    permalink = f"{base_url}s/{receipt.slug}"
    return (
        '<p class="status" role="status">It is shared.</p>'
        + _link("Link to this page as it is now", permalink, "permalink", opens=True)
        + _link(
            "Link that deletes the share. Keep it: it is shown only now.",
            f"{permalink}/delete/{receipt.deletion_token}",
            "deletion",
            opens=False,
        )
    )


def _link(label: str, address: str, kind: str, *, opens: bool) -> str:
    address = html.escape(address)
    opening = f'<a href="{address}" target="_blank" rel="noopener">Open</a>' if opens else ""
    return (
        f'<p class="share-link"><label for="{kind}">{label}</label>'
        f'<input id="{kind}" class="{kind}" value="{address}" readonly>'
        f'<button type="button" class="copy-link">Copy</button>{opening}</p>'
    )
