"""Opening a share: ``/?share=SLUG`` shows the page as it was when it was shared."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from app.errors import ShareError
from app.generation.records import Comparison, Generation
from app.limits import RateLimits
from app.shares.models import OpenedShare
from app.shares.store import ShareStore
from app.shares.text_safety import reveal
from app.ui.code_pane.controls import CodePane, Controls
from app.ui.code_pane.example_menu import menus_for
from app.ui.code_pane.origin import shared_origins
from app.ui.compare.pane import ComparePane
from app.ui.components import QUIET, Updates, code_update, failure
from app.ui.html import render
from app.ui.parameters import MAX_CANDIDATES
from app.ui.revision_menus import filled_menus
from santacoder import checkpoints

_SHA_LENGTH = 12  # characters of a commit's sha in a menu
_PRESS_RUN = "() => [...document.querySelectorAll('button.run')].find((button) => button.offsetParent).click()"
_LEAVE_SHARE = "() => santacoder.address.leaveShare()"


class Banner(NamedTuple):
    """The line above the panes that names the share, with its actions."""

    whole: gr.Row
    text: gr.HTML
    rerun: gr.Button
    fork: gr.Button
    dismiss: gr.Button


def share_banner() -> Banner:
    with gr.Row(visible=False, elem_id="shared", elem_classes="share-banner") as whole:
        text = gr.HTML(elem_id="shared-title")
        rerun = gr.Button("Run again", elem_id="shared-rerun", min_width=110)
        fork = gr.Button("Fork", elem_id="shared-fork", min_width=72)
        dismiss = gr.Button("Dismiss", elem_id="shared-dismiss", min_width=72)
    return Banner(whole, text, rerun, fork, dismiss)


def connect_opening(
    loaded: gr.events.Dependency,
    banner: Banner,
    tabs: gr.Tabs,
    panes: list[CodePane],
    compare: ComparePane,
    controls: Controls,
    shares: ShareStore,
    limits: RateLimits,
    store: Path,
) -> None:
    """Open a share once the page has ``loaded`` its menus.

    Args:
        loaded: the event after which the menus are filled.
        banner: the banner that names the share.
        tabs: the tabs of the panes.
        panes: the code panes.
        compare: the Compare pane.
        controls: the menus and parameters.
        shares: the store of shares.
        limits: rate limits of shares.
        store: folder of published models.
    """
    parameters = [controls.candidates, *controls.parameters]
    in_panes = [*(component for pane in panes for component in _shown(pane)), *compare.shown]
    outputs = [*banner[:-1], tabs, *controls.revision, *parameters, *in_panes]
    shown_pane = gr.State("")

    def open_share(request: gr.Request, *edited: str) -> Updates:
        """``edited`` is the code of each code pane, if it was changed before a reload."""
        slug = dict(request.query_params).get("share")
        if not slug:
            return gr.skip()
        try:
            limits.count("open", request.client.host)
            opened = shares.open(slug)
        except ShareError as error:
            return {
                banner.whole: gr.Row(visible=True),
                banner.text: failure(str(error)),
                banner.rerun: gr.Button(visible=False),
                banner.fork: gr.Button(visible=False),
                shown_pane: "",
            }
        name = opened.share.pane
        if opened.compared is not None:
            in_pane = _comparison_updates(compare, opened.compared, store)
        else:
            pane, code = next((pane, code) for pane, code in zip(panes, edited, strict=True) if pane.name == name)
            in_pane = _code_updates(pane, opened, controls, store, code)
        return {
            banner.whole: gr.Row(visible=True),
            banner.text: _title(opened),
            tabs: gr.Tabs(selected=name),
            **controls.parameters.updates(opened.generation.sampling),
            **in_pane,
            shown_pane: name,
        }

    editors = [pane.editor for pane in panes]
    kept = f"() => santacoder.keptOfShare({', '.join(repr(pane.name) for pane in panes)})"
    loaded.then(open_share, editors, [*outputs, shown_pane], js=kept, **QUIET)

    def prompts(name: str, *generations: Generation | None) -> Updates:
        """Updates of the share's pane with the code before it was run."""
        updates: Updates = {tabs: gr.Tabs(selected=name)}
        for pane, generation in zip(panes, generations, strict=True):
            if generation and pane.name == name:
                updates |= pane.undone(generation)
        return updates

    prompt = [shown_pane, *(pane.generation for pane in panes)]
    changed = [tabs, *(part for pane in panes for part in (pane.editor, *pane.cleared(), pane.generation))]
    banner.rerun.click(prompts, prompt, changed, **QUIET).then(None, js=_PRESS_RUN, **QUIET)
    # left first, so that what follows is kept as the visitor's own
    forked = banner.fork.click(None, js=_LEAVE_SHARE, **QUIET).then(prompts, prompt, changed, **QUIET)
    forked.then(None, parameters, js="(...values) => santacoder.keep('parameters', values)", **QUIET)
    # what the share shows stays in the pane, and is kept once it is changed
    dismissed = banner.dismiss.click(None, js=_LEAVE_SHARE, **QUIET)
    for event in (forked, dismissed):
        event.then(lambda: gr.Row(visible=False), None, banner.whole, **QUIET)


def _shown(pane: CodePane) -> list[gr.blocks.Block]:
    return [*pane.shown, pane.preset, pane.order, pane.origin_badge, pane.origins]


def _code_updates(pane: CodePane, opened: OpenedShare, controls: Controls, store: Path, edited: str) -> Updates:
    """Updates of the pane and of the menus, with the exact commit selected if it still exists. If the code was
    ``edited``, it is shown without what tells of the shared one.
    """
    generation, candidate = opened.generation, opened.candidate
    badge, origins = shared_origins(opened.attribution, generation, candidate, controls.indexes)
    commit = generation.sha if checkpoints.is_here(generation.repo_id, generation.sha, store) else ""
    menus = filled_menus(store, generation.repo_id, generation.revision, commit)
    is_edited = edited not in ("", generation.code(candidate))
    return {
        **controls.revision.updates(menus),
        # equal ones were merged, and those that continue from a token were added
        controls.candidates: min(MAX_CANDIDATES, sum(each.n_alike for each in generation.candidates)),
        **menus_for(pane, generation.language, generation.code(candidate), generation),
        **pane.show(generation, candidate, _notices(generation, store)),
        pane.order: generation.fim_order,
        pane.origin_badge: badge,
        pane.origins: origins,
        **({pane.editor: code_update(edited, generation.language), **pane.cleared()} if is_edited else {}),
    }


def _comparison_updates(compare: ComparePane, compared: Comparison, store: Path) -> Updates:
    generations = compared.generations
    revisions = [
        f"{each.repo_id}@{each.sha[:_SHA_LENGTH]}"
        if checkpoints.is_here(each.repo_id, each.sha, store)
        else f"{each.repo_id}@{each.revision}"
        for each in generations
    ]
    return compare.show(compared, revisions, [_notices(each, store) for each in generations])


def _notices(generation: Generation, store: Path) -> tuple[str, ...]:
    if checkpoints.is_here(generation.repo_id, generation.sha, store):
        return ()
    return (
        f"Commit {generation.sha[:8]} of {generation.repo_id} no longer exists here. The saved output is shown; "
        "running again uses the newest commit.",
    )


def _title(opened: OpenedShare) -> str:
    share = opened.share
    generations = opened.compared.generations if opened.compared else (opened.generation,)
    authors = ", ".join(f"{each.repo_id}@{each.revision} ({each.sha[:8]})" for each in generations)
    return render(
        "shared_title",
        slug=share.slug,
        title=reveal(share.title),
        date=f"{share.created_at:%d %b %Y}",
        authors=reveal(authors),
    )
