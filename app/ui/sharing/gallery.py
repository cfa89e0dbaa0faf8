"""The gallery of shares."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import gradio as gr
from markupsafe import Markup

from app.errors import ShareError
from app.limits import RateLimits
from app.shares.cookies import known_visitor
from app.shares.highlight import highlighted
from app.shares.models import MAX_SEARCH, Cursor, Order, Query, Share
from app.shares.store import ShareStore
from app.shares.text_safety import reveal
from app.ui.components import LATEST, Updates, failure
from app.ui.html import render

_LANGUAGES = [("All languages", ""), ("Python", "python"), ("Java", "java"), ("JavaScript", "javascript")]
_KINDS = {"complete": ("Completed by", ""), "infill": ("Filled in by", ""), "compare": ("Compared", " and others")}
_ALL_BRANCHES = ("All models and branches", "")
_NOTHING_YET = "Nothing has been shared yet. Run a prompt in Complete or Fill in the middle, then press Share."
_NOTHING_FOUND = "No shares match. Try fewer words or other filters."


class _Place(NamedTuple):
    """The position in the gallery: the cursors of the pages up to this one, and that of the next."""

    trail: tuple[Cursor | None, ...] = (None,)
    next: Cursor | None = None


def gallery_pane(store: ShareStore, limits: RateLimits, tab: gr.Tab) -> None:
    """Fill the surrounding ``tab``."""
    with gr.Row(elem_classes="toolbar", elem_id="gallery-controls"):
        text = gr.Textbox(
            label="Search",
            placeholder="Words in the code or title",
            elem_id="gallery-search",
            max_length=MAX_SEARCH,
            scale=2,
            min_width=200,
        )
        language = gr.Dropdown(_LANGUAGES, value="", label="Language", elem_id="gallery-language", min_width=140)
        branch = gr.Dropdown([_ALL_BRANCHES], value="", label="Branch", elem_id="gallery-branch", min_width=180)
        order = gr.Radio(
            [("Newest", "newest"), ("Most liked", "likes")],
            value="newest",
            label="Order",
            elem_id="gallery-order",
            elem_classes="segmented",
            min_width=180,
        )
    cards = gr.HTML(elem_id="gallery-cards", apply_default_css=False)
    with gr.Row(elem_id="gallery-pager"):
        earlier = gr.Button("‹ Previous", elem_id="gallery-previous", min_width=100, visible=False)
        number = gr.HTML(elem_id="gallery-page")
        later = gr.Button("Next ›", elem_id="gallery-next", min_width=100, visible=False)
    place = gr.State(_Place())
    filters: dict[str, Any] = {"text": text, "language": language, "branch": branch, "order": order}
    shown = [cards, number, earlier, later, place]

    def look(text: str, language: str, branch: str, order: Order, at: _Place, request: gr.Request) -> Updates:
        """The page of the last cursor in ``at``."""
        try:
            limits.count("search", request.client.host)
            page = store.find(Query(text[:MAX_SEARCH], language, branch, order, at.trail[-1]))
            liked = store.liked([share.slug for share in page.shares], known_visitor(request.cookies))
        except ShareError as error:
            return {cards: failure(str(error))}
        nothing = _NOTHING_FOUND if text or language or branch else _NOTHING_YET
        n_pages = len(at.trail)
        found = [_card(share, share.slug in liked) for share in page.shares]
        return {
            cards: render("gallery", cards=found, nothing=nothing),
            number: render("gallery_page", number=n_pages) if n_pages > 1 or page.next else "",
            earlier: gr.Button(visible=n_pages > 1),
            later: gr.Button(visible=page.next is not None),
            place: _Place(at.trail, page.next),
        }

    def begin(text: str, language: str, branch: str, order: Order, request: gr.Request) -> Updates:
        return look(text, language, branch, order, _Place(), request)

    def go_on(text: str, language: str, branch: str, order: Order, at: _Place, request: gr.Request) -> Updates:
        return look(text, language, branch, order, _Place((*at.trail, at.next)), request)

    def go_back(text: str, language: str, branch: str, order: Order, at: _Place, request: gr.Request) -> Updates:
        return look(text, language, branch, order, _Place(at.trail[:-1] or (None,)), request)

    def fill(chosen: str) -> gr.Dropdown:
        """The menu of branches that have shares."""
        try:
            names = store.branches()
        except ShareError:  # shown instead of the cards
            return gr.skip()
        return gr.Dropdown(choices=[_ALL_BRANCHES, *names], value=chosen if chosen in names else "")

    changes = [text.change, language.input, branch.input, order.input, tab.select]
    gr.on(changes, begin, None, shown, inputs_kwargs=filters, **LATEST)
    tab.select(fill, branch, branch, **LATEST)
    later.click(go_on, None, shown, inputs_kwargs={**filters, "at": place}, **LATEST)
    earlier.click(go_back, None, shown, inputs_kwargs={**filters, "at": place}, **LATEST)


class _Card(NamedTuple):
    slug: str
    title: str
    code: Markup
    language: str
    authors: str
    created_at: datetime
    liked: bool
    likes: int


def _card(share: Share, liked: bool) -> _Card:
    kind, others = _KINDS.get(share.pane, _KINDS["complete"])
    return _Card(
        slug=share.slug,
        title=reveal(share.title),
        code=Markup(highlighted(share.excerpt, share.language)),
        language=next((label for label, value in _LANGUAGES if value == share.language), share.language),
        authors=f"{kind} {reveal(share.branch)}{others}",
        created_at=share.created_at,
        liked=liked,
        likes=share.likes,
    )
