"""Tokens as a heat map: the less likely a token, the deeper its colour.

``tokens.js`` opens the alternatives of a clicked token. Inside a :func:`token_map`, a click on an alternative triggers
the event ``select``, with ``gap``, ``token`` and ``alternative`` as numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from app.generation.records import Alternative, Token
from app.ui.html import percent, render

_STEPS = 8  # of colour, in style/tokens.css; each step is one bit
_ON_LOAD = """
element.dataset.choose = "true";
element.addEventListener("alternative", (event) => trigger("select", event.detail));
"""


def token_map(elem_id: str, value: str = "") -> gr.HTML:
    """A component for heat maps with selectable alternatives; its event ``select`` passes ``gr.EventData``."""
    return gr.HTML(value, js_on_load=_ON_LOAD, elem_id=elem_id, elem_classes="token-map")


def heat_map(tokens: Sequence[Token], *, label: str) -> str:
    """``tokens`` as HTML, without those that spell the prompt's end again. ``label`` is for screen readers."""
    shown = [_shown(index, token) for index, token in enumerate(tokens) if not token.respelled]
    if shown and not shown[-1].text:
        shown[-1] = shown[-1]._replace(spoken="")  # it says that it is the end
    return render("token_map", tokens=shown, label=label)


def probability(logprob: float) -> str:
    """A log-probability as a readable probability."""
    share = math.exp(min(logprob, 0.0))
    return percent(share) if share >= 0.1 else percent(share, 1) if share >= 0.001 else "< 0.1 %"


def perplexity(tokens: Sequence[Token]) -> float | None:
    """The perplexity of ``tokens``; None if none has a log-probability."""
    logprobs = [token.logprob for token in tokens if token.logprob is not None]
    return math.exp(-sum(logprobs) / len(logprobs)) if logprobs else None


class _Shown(NamedTuple):
    """A token in the heat map.

    ``number`` is its index among all tokens, used to choose an alternative. ``spoken`` is for screen readers if there
    is no readable text. ``top`` are the alternatives as JSON.
    """

    number: int
    text: str
    spoken: str
    heat: int
    probability: str
    top: str


def _shown(index: int, token: Token) -> _Shown:
    heat, share = 0, ""
    if token.logprob is not None:
        heat = min(_STEPS, max(0, round(-token.logprob / math.log(2))))
        share = probability(token.logprob)
    top = json.dumps([_row(alternative) for alternative in token.top]) if token.top else ""
    return _Shown(index, token.text, "" if token.text.strip() else _spoken(token.text), heat, share, top)


def _row(alternative: Alternative) -> list[str | float]:
    return [alternative.text, round(math.exp(min(alternative.logprob, 0.0)), 5), probability(alternative.logprob)]


def _spoken(text: str) -> str:
    """What a screen reader says for a token without readable text."""
    if not text:
        return "part of a character"
    return "line break" if "\n" in text else "white space"
