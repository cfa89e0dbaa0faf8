"""The context bar: how much of the model's context the code takes, and what will be truncated."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from app.generation.records import Language
from app.repositories import Repositories
from app.settings import Settings
from app.ui.code_pane.controls import CodePane, Controls
from app.ui.code_pane.example_menu import menus_for
from app.ui.components import LATEST, Updates
from app.ui.html import render
from app.ui.inputs import follows_typing
from app.ui.parameters import OrderChoice, chosen_order
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.request import CompletionRequest, Prompt, build_prompt
from santacoder.errors import UserError
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


def connect_context(
    pane: CodePane,
    settings: Settings,
    controls: Controls,
    beginnings: list[gr.events.Dependency],
    restored: gr.events.Dependency,
) -> None:
    """Update the bar with the code, the revision and the number of new tokens. It is filled from the beginning, so that
    nothing moves when the page is drawn. After code was ``restored``, the menus follow, too.
    """

    repositories = Repositories(settings)

    @follows_typing
    def measure(code: str, order: OrderChoice, model: str, branch: str, commit: str, max_new_tokens: int) -> str:
        try:
            # nothing is downloaded just for the bar
            repositories.require(model)
            snapshot = checkpoints.resolve(model, commit or branch, store=settings.store, download=False)
            tokenizer, n_positions, recorded = _reader(snapshot)
            parts = _parts(pane, code)
            chosen = chosen_order(order)
            request = _request(parts, chosen, recorded, int(max_new_tokens))
            prompt = build_prompt(request, tokenizer, n_positions)
            return _bar(prompt, n_positions, [*prompt.notices, *_advice(chosen, recorded)])
        except (CheckpointError, UserError):
            return ""  # Run reports the error

    new_tokens = controls.parameters.max_new_tokens
    pane.context.value = measure(
        pane.editor.value, "auto", settings.model, settings.revision, "", controls.parameters.max_new_tokens.value
    )
    inputs: dict[str, Any] = {
        "code": pane.editor,
        "order": pane.order,
        **controls.revision._asdict(),
        "max_new_tokens": new_tokens,
    }
    changes = [component.change for component in (*controls.revision, new_tokens, pane.tokens)]
    connected = {"outputs": pane.context, "inputs_kwargs": inputs, **LATEST}
    gr.on([pane.editor.input, pane.order.input, *changes], measure, **connected)
    for event in beginnings:
        event.then(measure, **connected)

    @follows_typing
    def settle(language: Language, code: str, **others: Any) -> Updates:
        return {**menus_for(pane, language, code), pane.context: measure(code, **others)}

    restored.then(
        settle,
        None,
        [pane.editor, pane.language, pane.preset, pane.context],
        inputs_kwargs={"language": pane.language, **inputs},
        **LATEST,
    )


@lru_cache(maxsize=8)
def _reader(snapshot: Path) -> tuple[Tokenizer, int, FimOrder | None]:
    """The tokenizer of the model, its context size in tokens, and the order that it records."""
    n_positions = checkpoints.read_config(snapshot).n_positions
    return checkpoints.read_tokenizer(snapshot), n_positions, checkpoints.read_fim_order(snapshot)


def _parts(pane: CodePane, code: str) -> tuple[str, ...]:
    """The code split at its gaps; one part if it has none, as after it was filled."""
    try:
        return pane.split(code)
    except UserError:
        return (code,)


def _request(
    parts: tuple[str, ...], chosen: FimOrder | None, recorded: FimOrder | None, max_new_tokens: int
) -> CompletionRequest:
    """The first request for this code."""
    suffix = "".join(parts[1:]) if len(parts) > 1 else None
    order = chosen or automatic_order(parts[0], "".join(parts[1:2]), recorded)
    return CompletionRequest(parts[0], suffix, SamplingParams(max_new_tokens=max_new_tokens), order)


def _advice(chosen: FimOrder | None, recorded: FimOrder | None) -> list[str]:
    """What to say of an order other than the one that the revision records."""
    if not chosen or not recorded or chosen == recorded:
        return []
    return [f"This revision fills gaps better {'prefix' if recorded == 'psm' else 'suffix'} first."]


def _bar(prompt: Prompt, n_positions: int, notices: list[str]) -> str:
    n_read, n_new = len(prompt.ids), prompt.max_new_tokens
    n_free = n_positions - n_read - n_new
    said = f"{n_read:,} tokens of code · up to {n_new:,} new · {n_free:,} of {n_positions:,} free"
    return render("context_bar", said=said, read=n_read / n_positions, new=n_new / n_positions, notices=notices)
