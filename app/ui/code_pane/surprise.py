"""How surprising the user's own code is to the model."""

from __future__ import annotations

import math

import gradio as gr

from app.errors import sentence_for
from app.generation.continuation import alternatives
from app.generation.records import Token
from app.model_pool import Models, ServedModel
from app.ui.caller import admitted
from app.ui.code_pane.controls import CodePane, Controls
from app.ui.components import failure
from app.ui.html import render
from app.ui.token_map import heat_map, perplexity
from santacoder.checkpoints import CheckpointError
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import EngineBusy
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams

_NOTHING = '<p class="empty">See how likely the model finds each token of your code.</p>'
_TOP = 5


def surprise_tab(pane: CodePane, models: Models, controls: Controls) -> None:
    """Add the tab to the pane's details."""
    with pane.details, gr.Tab("My code", elem_id=f"{pane.name}-surprise-tab"):
        button = gr.Button("How surprising is this code?", elem_id=f"{pane.name}-surprise", elem_classes="small")
        shown = gr.HTML(_NOTHING, elem_id=f"{pane.name}-surprise-tokens", elem_classes="token-map")

    def look(code: str, model: str, branch: str, commit: str) -> str:
        try:
            with admitted(controls.limits) as client:
                served = models.acquire(model, commit or branch)
                try:
                    return _scored(served, _without_marks(pane, code), client)
                finally:
                    served.release()
        except (CheckpointError, EngineBusy, UserError) as error:
            return failure(sentence_for(error))

    button.click(
        look,
        None,
        shown,
        inputs_kwargs={"code": pane.editor, **controls.revision._asdict()},
        show_progress="minimal",
        concurrency_limit=4,
        api_visibility="private",
    )


def _without_marks(pane: CodePane, code: str) -> str:
    try:
        return "".join(pane.split(code))
    except UserError:  # no gap markers
        return code


def _scored(served: ServedModel, code: str, client: str) -> str:
    """Score the code.

    Raises:
        EngineBusy: the queue is full.
        UserError: there is nothing to score; the message is a sentence.
    """
    tokenizer, n_positions = served.engine.tokenizer, served.engine.runner.n_positions
    request = CompletionRequest(code, sampling=SamplingParams(max_new_tokens=0, top_logprobs=_TOP))
    ids, is_cut = tokenizer.encode_end(request.prefix, n_positions)
    read = ids[-n_positions:]
    echoing = CompletionRequest(code, None, request.sampling, prefix_ids=tuple(read), echo=True)
    stream = served.engine.submit(echoing, client=client)
    echoed = Accumulator(tokenizer)
    for event in stream:
        echoed.add(event)
        if isinstance(event, Finished) and event.reason == "error":
            raise UserError(event.message)
    tokens = [Token(token.text, token.id, token.logprob, alternatives(token)) for token in echoed.tokens]
    return _verdict(tokens, len(ids) - len(read), is_cut) + heat_map(tokens, label="Tokens of your code")


def _verdict(tokens: list[Token], n_left_out: int, is_cut: bool) -> str:
    value = perplexity(tokens)
    if value is None:
        return '<p class="verdict">A single token has no context to be predicted from.</p>'
    bits = math.log2(value) * (len(tokens) - 1) / max(1, len("".join(token.text for token in tokens[1:])))
    count = f"{'more than ' if is_cut else ''}{len(tokens) + n_left_out:,}"
    left_out = f" Only the last {len(tokens):,} of {count} tokens fit." if n_left_out else ""
    return render("surprise", perplexity=f"{value:.3g}", bits=f"{bits:.2f}", left_out=left_out)
