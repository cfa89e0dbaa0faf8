"""Prompts and parameters as clients send them, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from santacoder import fim
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import MAX_SEED, SamplingParams
from santacoder.tokenizer import Tokenizer

UNLIMITED_NEW_TOKENS = 1 << 20
"""Where a client sets no limit: more than any context has room for. Half of it is kept free of a long prompt then."""


def raw_request(
    prompt: str | list[int], sampling: SamplingParams, tokenizer: Tokenizer, *, echo: bool = False
) -> CompletionRequest:
    """A request from tokens or from text, which may be a whole fill-in-the-middle prompt.

    An empty prompt is the beginning of a file. The end of text to be continued may be spelled out again.

    Raises:
        UserError: nothing to start from, or a token the model does not have.
    """
    if not isinstance(prompt, str):
        known = [token_id for token_id in prompt if 0 <= token_id < tokenizer.vocab_size]
        return CompletionRequest(tokenizer.decode(known), None, sampling, prefix_ids=tuple(prompt), echo=echo)
    if not prompt:
        return CompletionRequest("", None, sampling, prefix_ids=(tokenizer.end_of_text_id,))
    found = fim.parse_prompt(prompt)
    if found is None:
        return CompletionRequest(prompt, None, replace(sampling, token_healing=True), echo=echo)
    prefix, suffix, order = found
    return CompletionRequest(prefix, suffix, sampling, order, echo=echo)


def gap_request(prefix: str, suffix: str, sampling: SamplingParams) -> CompletionRequest:
    """What belongs between the two, whatever marks they contain, and fits there.

    The order is the one that the model fills best. Where it does not say which, the suffix comes first (SPM): what is
    typed stands at the end of the prompt then, so that a keystroke costs the reading of a few tokens. The other way
    round all that is behind the cursor would be read again.
    """
    return CompletionRequest(prefix, suffix, sampling, None, fit_gap=True)


def stop_sequences(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    """One, several or none, as protocols allow; empty ones, which some clients send, are none."""
    return tuple(filter(None, [stop] if isinstance(stop, str) else stop or ()))


def fitting_seed(seed: int | None, default: int | None, index: int = 0) -> int | None:
    """The seed of the text number ``index`` of a request: its own, where it has one that is not negative, else the
    server's ``default``. Larger ones than ours are folded."""
    chosen = default if seed is None or seed < 0 else seed
    return None if chosen is None else (chosen + index) % (MAX_SEED + 1)


def temperature_and_top_p(temperature: float, top_p: float) -> tuple[float, float]:
    """The two as they are, but for a ``top_p`` of 0: by it, protocols keep the likeliest token alone."""
    return (temperature, top_p) if top_p > 0 else (0.0, 1.0)
