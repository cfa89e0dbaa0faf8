"""Tokens as a heat map: the less likely a token, the deeper its colour.

``tokens.js`` opens the alternatives of a clicked token. Inside a :func:`token_map`, a click on an alternative triggers
the event ``select``, with ``gap``, ``token`` and ``alternative`` as numbers.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence

import gradio as gr

from app.generation.records import Alternative, Token

_STEPS = 8  # of colour, in style.css; each step is one bit
_ON_LOAD = """
element.dataset.choose = "true";
element.addEventListener("alternative", (event) => trigger("select", event.detail));
"""


def token_map(elem_id: str, value: str = "") -> gr.HTML:
    """A component for heat maps with selectable alternatives; its event ``select`` passes ``gr.EventData``."""
    return gr.HTML(value, js_on_load=_ON_LOAD, elem_id=elem_id, elem_classes="token-map")


def heat_map(tokens: Sequence[Token], *, label: str) -> str:
    """``tokens`` as escaped HTML, without those that spell the prompt's end again. ``label`` is for screen readers."""
    shown = [(index, token) for index, token in enumerate(tokens) if not token.respelled]
    spans = "".join(
        _span(index, token, is_first=number == 0, is_last=number == len(shown) - 1)
        for number, (index, token) in enumerate(shown)
    )
    return f'<div class="tokens" role="group" aria-label="{html.escape(label)}">{spans}</div>'


def probability(logprob: float) -> str:
    """A log-probability as a readable probability."""
    share = math.exp(min(logprob, 0.0))
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.001 else "< 0.1%"


def perplexity(tokens: Sequence[Token]) -> float | None:
    """The perplexity of ``tokens``; None if none has a log-probability."""
    logprobs = [token.logprob for token in tokens if token.logprob is not None]
    return math.exp(-sum(logprobs) / len(logprobs)) if logprobs else None


def _span(index: int, token: Token, *, is_first: bool, is_last: bool) -> str:
    """``index`` is the token's index among all tokens, used to choose an alternative."""
    attributes = {"class": "token", "role": "button", "tabindex": "0" if is_first else "-1", "data-token": str(index)}
    if not token.text.strip() and not (is_last and not token.text):
        attributes["aria-label"] = _spoken(token.text)
    if token.logprob is not None:
        bits = -token.logprob / math.log(2)
        attributes["data-heat"] = str(min(_STEPS, max(0, round(bits))))
        attributes["data-probability"] = probability(token.logprob)
    if token.top:
        attributes["data-top"] = json.dumps([_row(alternative) for alternative in token.top])
        attributes["aria-haspopup"] = "dialog"
    written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<span {written}>{_shown(token.text, is_last)}</span>"


def _row(alternative: Alternative) -> list[str | float]:
    return [alternative.text, round(math.exp(min(alternative.logprob, 0.0)), 5), probability(alternative.logprob)]


def _spoken(text: str) -> str:
    """What a screen reader says for a token without readable text."""
    if not text:
        return "part of a character"
    return "line break" if "\n" in text else "white space"


def _shown(text: str, is_last: bool) -> str:
    """The text, with symbols for line ends and for tokens without text."""
    if not text:
        return '<span class="sign">■ end</span>' if is_last else '<span class="sign">·</span>'
    return html.escape(text).replace("\n", '<span class="sign" aria-hidden="true">↵</span>\n')
