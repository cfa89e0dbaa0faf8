"""The page as a whole: model and revision menus, the panes, and the parameters shared by two of them."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gradio as gr
import gradio.utils
from fastapi import Request

from app.api.functions import functions
from app.context import Server
from app.gradio_start import without_applications
from app.limits import RateLimits
from app.shares.store import ShareStore
from app.training_jobs import Jobs
from app.training_permission import ONLY_AT_THE_MACHINE, TrainingPermission
from app.training_request import TUNING_STEPS
from app.ui.address import PANES, connect_address
from app.ui.branches.pane import branches_pane
from app.ui.caller import caller
from app.ui.code_pane.controls import Controls
from app.ui.code_pane.layout import complete_pane, infill_pane
from app.ui.compare.pane import compare_pane, revision_menu
from app.ui.components import MAX_RUNNING, QUIET, status_line
from app.ui.faults import explain_faults
from app.ui.inputs import check_inputs
from app.ui.parameters import candidates_control, keep_parameters, parameter_controls
from app.ui.revision_picker import revision_picker
from app.ui.serving.turns import UiTurns
from app.ui.sharing.gallery import gallery_pane
from app.ui.sharing.open_share import connect_opening, share_banner
from app.ui.sharing.share import share_code, share_comparison
from app.ui.train.form import FormDefaults
from app.ui.train.pane import Trainings, train_pane
from app.ui.train.teach import BRANCH, REPO_ID, connect_teaching, teach_button

_HERE = Path(__file__).parent


@without_applications()
def build_playground(server: Server, shares: ShareStore, limits: RateLimits) -> gr.Blocks:
    """The Gradio application. ``limits`` are those of shares."""
    settings, models = server.settings, server.models
    with gr.Blocks(title="SantaCoder", analytics_enabled=False, fill_width=True) as page:
        with gr.Row(elem_id="header"):
            gr.HTML((_HERE / "title.html").read_text(), elem_id="title")
            teach = teach_button(settings)
            revision, menus_filled = revision_picker(page, settings)
        banner = share_banner()
        with gr.Row(equal_height=False, elem_id="desk"):
            with gr.Column(scale=3, min_width=300), gr.Tabs(elem_id="panes") as tabs:
                complete, infill, compare, branches, gallery, train = (
                    gr.Tab(title, id=name, visible=name != "train" or settings.training_is_allowed)
                    for name, title in PANES.items()
                )
            with gr.Column(scale=1, min_width=260, elem_id="parameters"), gr.Accordion("Parameters"):
                controls = Controls(
                    page,
                    revision,
                    candidates=candidates_control(),
                    parameters=parameter_controls(),
                    indexes=server.indexes,
                    limits=server.limits,
                )
                keep_parameters(page, [controls.candidates, *controls.parameters])
        with complete:
            panes = [complete_pane(settings, models, controls)]
        with infill:
            panes += [infill_pane(settings, models, controls)]
        compared = revision_menu()
        with compare:
            comparison = compare_pane(
                models,
                server.limits,
                settings.store,
                compare,
                revision,
                compared,
                controls.parameters,
                shares.votes,
                limits,
            )
        for pane in panes:
            share_code(pane, shares, limits, server.indexes)
        share_comparison(comparison, shares, limits)
        connect_opening(menus_filled, banner, tabs, panes, comparison, controls, shares, limits, settings.store)
        add_functions(server)
        with branches:
            branches_pane(models, server.limits, settings.store, tabs, branches, revision, compared, shares)
        with gallery:
            gallery_pane(shares, limits, gallery)
        connect_address([complete, infill, compare, branches, gallery, train], menus_filled)
        if settings.training_is_allowed:
            permission = TrainingPermission(settings)
            with train:
                refused = gr.HTML(status_line(ONLY_AT_THE_MACHINE), visible=False, elem_id="train-refused")
                with gr.Column() as allowed:
                    jobs = Jobs(settings.runs, settings.store)
                    trainings = Trainings(jobs, permission, models.repositories, settings.store)
                    training = train_pane(trainings, tabs, train, revision, FormDefaults(REPO_ID, BRANCH, TUNING_STEPS))
            connect_teaching(teach, training, panes[0], jobs, permission, settings, tabs, revision)

            def admit() -> dict[gr.blocks.Block, Any]:
                is_allowed = permission.is_given(caller())
                return {refused: gr.HTML(visible=not is_allowed), allowed: gr.Column(visible=is_allowed)}

            page.load(admit, None, [refused, allowed], **QUIET)
        gr.HTML((_HERE / "footnote.html").read_text(), elem_id="footnote")
        explain_faults(page)
        check_inputs(page)
    # waiting events are told their place every second, not after each event, which would be quadratic
    page.queue(max_size=settings.max_waiting, status_update_rate=1)
    # otherwise Gradio would recompute a table of the last 10,000 events after each event, for a page that is not used
    page._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    # for each event, Gradio switches the backend of matplotlib; importing it would block the event loop for 0.7 s
    gradio.utils.MatplotlibBackendMananger = nullcontext
    page._queue.sleep_when_free = 0.005  # seconds between looks for the next event; Gradio looks every millisecond
    page._queue.get_events = UiTurns(page._queue, server.limits.client).next_events
    return page


def add_functions(server: Server) -> None:
    """Add the functions of ``app/api/functions.py`` to the page being built."""

    def counted_caller() -> Request:
        request = caller()
        server.limits.check_rate(request)
        return request

    for function in functions(server, counted_caller):
        gr.api(function, api_name=function.__name__, concurrency_limit=MAX_RUNNING, concurrency_id="generate")
