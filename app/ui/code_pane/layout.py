"""The panes Complete and Fill in the middle: their layout and basic events."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from app.generation.records import MARK, Generation, Pane
from app.model_pool import Models
from app.settings import Settings
from app.ui.code_pane.context_bar import connect_context
from app.ui.code_pane.controls import NO_TOKENS, NOT_CHECKED, CodePane, Controls
from app.ui.code_pane.example_code import presets
from app.ui.code_pane.example_menu import connect_beginning
from app.ui.code_pane.history import history_tab
from app.ui.code_pane.origin import connect_origins
from app.ui.code_pane.run_buttons import connect_running
from app.ui.code_pane.snippets_tab import snippets_tab
from app.ui.code_pane.surprise import surprise_tab
from app.ui.components import (
    LANGUAGES,
    QUIET,
    READY,
    Updates,
    code_editor,
    language_choice,
    run_and_stop,
    split_at_marks,
)
from app.ui.html import render
from app.ui.parameters import order_choice
from app.ui.token_map import token_map
from santacoder.errors import UserError


def complete_pane(settings: Settings, models: Models, controls: Controls) -> CodePane:
    """Build the Complete pane in the surrounding tab."""
    return code_pane("complete", "Code to complete", lambda code: (code,), settings, models, controls)


def infill_pane(settings: Settings, models: Models, controls: Controls) -> CodePane:
    """Build the pane Fill in the middle in the surrounding tab."""
    label = f"Code with {MARK} where something is missing"
    return code_pane("infill", label, parts_with_gaps, settings, models, controls)


def parts_with_gaps(code: str) -> tuple[str, ...]:
    """The code split at the gap markers.

    Raises:
        UserError: there is no gap marker, or there are too many.
    """
    parts = split_at_marks(code)
    if len(parts) == 1:
        raise UserError(f"The code has no gap: put {MARK} where something is missing.")
    return parts


def code_pane(
    name: Pane,
    label: str,
    split: Callable[[str], tuple[str, ...]],
    settings: Settings,
    models: Models,
    controls: Controls,
) -> CodePane:
    """Fill the surrounding tab."""
    pane = _layout(name, label, split)
    restored = _connect_keeping(pane, controls)
    beginnings = connect_beginning(pane)
    if name == "complete":
        for event in beginnings:
            event.then(None, js="() => santacoder.ghost.suggest()", **QUIET)
    surprise_tab(pane, models, controls)
    snippets_tab(pane, settings, controls, beginnings)
    recorder = history_tab(pane)
    connect_origins(pane, controls, recorder)
    connect_running(pane, models, controls, recorder)
    _connect_pager(pane)
    _connect_copying(pane)
    connect_context(pane, settings, controls, beginnings, restored)
    return pane


def _layout(name: Pane, label: str, split: Callable[[str], tuple[str, ...]]) -> CodePane:
    examples = presets(name, "python")
    first = next(iter(examples))
    with gr.Row(elem_classes="toolbar"):
        language = language_choice(name)
        preset = gr.Dropdown(
            list(examples), value=first, label="Example", elem_id=f"{name}-preset", elem_classes="preset", min_width=160
        )
        order = order_choice(name)
    if name == "complete":
        gr.HTML(render("instruction_hint"), elem_id="complete-hint", elem_classes="instruction-hint")
    with gr.Column(elem_classes="sheet"):
        editor = code_editor(examples[first], label=label, elem_id=f"{name}-editor")
        context = gr.HTML(elem_id=f"{name}-context", elem_classes="context")
        gr.HTML(render("confidence"), elem_id=f"{name}-confidence", elem_classes="confidence-line")
    with gr.Row(elem_classes="run-bar"):
        with gr.Row(elem_classes="actions"):
            run, stop = run_and_stop(name, "Run")
            retry = gr.Button("Retry", elem_id=f"{name}-retry", elem_classes="retry", min_width=72)
            with gr.Row(visible=False, elem_classes="pager") as pager:
                earlier = gr.Button("‹", elem_id=f"{name}-earlier", elem_classes="earlier", min_width=40)
                page_number = gr.HTML(elem_id=f"{name}-page")
                later = gr.Button("›", elem_id=f"{name}-later", elem_classes="later", min_width=40)
        with gr.Row(elem_classes=["actions", "more"]) as more:
            undo = _small_button(name, "Undo", interactive=False)
            gap = _small_button(name, "Insert gap", visible=name == "infill")
            copy, download = _small_button(name, "Copy"), _small_button(name, "Download")
            share = _small_button(name, "Share", interactive=False)
    status = gr.HTML(READY, elem_id=f"{name}-status", elem_classes="status-lines")
    origin_badge = gr.HTML(elem_id=f"{name}-origin-badge", elem_classes="origin-badge")
    with gr.Tabs(elem_id=f"{name}-details", elem_classes="details") as details:
        with gr.Tab("Probabilities"):
            tokens = token_map(f"{name}-tokens", NO_TOKENS)
        with gr.Tab("Origin", elem_id=f"{name}-origin-tab"):
            origin_check = gr.Button("Where is this code from?", elem_id=f"{name}-origin", elem_classes="small")
            origins = gr.HTML(NOT_CHECKED, elem_id=f"{name}-origins")
    return CodePane(
        name=name,
        split=split,
        language=language,
        preset=preset,
        order=order,
        editor=editor,
        context=context,
        more=more,
        run=run,
        stop=stop,
        retry=retry,
        undo=undo,
        gap=gap,
        copy=copy,
        download=download,
        share=share,
        pager=pager,
        earlier=earlier,
        page_number=page_number,
        later=later,
        status=status,
        origin_badge=origin_badge,
        origin_check=origin_check,
        origins=origins,
        details=details,
        tokens=tokens,
        generation=gr.State(None),
        index=gr.State(0),
    )


def _small_button(name: Pane, label: str, **options: bool) -> gr.Button:
    part = label.split()[-1].lower()
    return gr.Button(label, elem_id=f"{name}-{part}", elem_classes=part, min_width=72, **options)


def _connect_pager(pane: CodePane) -> None:
    """Buttons for the previous and the next candidate, cyclically."""

    def turn(step: int) -> Callable[[Generation | None, int], Updates]:
        def show(generation: Generation | None, index: int) -> Updates:
            if generation is None:
                return gr.skip()
            return pane.show(generation, (index + step) % len(generation.candidates))

        return show

    for button, step in ((pane.earlier, -1), (pane.later, 1)):
        button.click(turn(step), [pane.generation, pane.index], pane.shown, **QUIET)


def _connect_copying(pane: CodePane) -> None:
    """Copy, Download and Insert gap need no server."""
    pane.gap.click(None, None, None, js=f"() => santacoder.insertGap('{pane.name}')", **QUIET)
    pane.copy.click(None, pane.editor, None, js="(code) => void santacoder.copy(code)", **QUIET)
    names = {language: named.file_name for language, named in LANGUAGES.items()}
    pane.download.click(
        None,
        [pane.editor, pane.language],
        None,
        js=f"(code, language) => santacoder.download(code, {names}[language])",
        **QUIET,
    )


def _connect_keeping(pane: CodePane, controls: Controls) -> gr.events.Dependency:
    """Keep the editor's contents across reloads; Gradio reloads by itself when a server comes back. Returns the event
    that brings them back."""
    kept = [pane.editor, pane.language]
    pane.editor.change(None, kept, None, js=f"(...kept) => santacoder.keep('{pane.name}', kept)", **QUIET)
    return controls.page.load(None, kept, kept, js=f"(...shown) => santacoder.kept('{pane.name}') ?? shown", **QUIET)
