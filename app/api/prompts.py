"""Clients' prompts and parameters as engine requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.project.excerpts import with_heading
from santacoder import fim
from santacoder.engine.line_ends import to_lf, uses_crlf
from santacoder.engine.request import CompletionRequest, require_source_code
from santacoder.engine.token_healing import is_on_by_default
from santacoder.sampling import MAX_SEED, SamplingParams
from santacoder.tokenizer import Tokenizer

UNLIMITED_NEW_TOKENS = 1 << 20
"""The limit for clients that set none: more than any context. Half of the context then stays free of the prompt."""
WHOLE_CONTEXT = 1 << 20
"""A number of tokens that penalties look at, the prompt's included: more than any context."""


def raw_request(
    prompt: str | list[int], sampling: SamplingParams, tokenizer: Tokenizer, *, echo: bool = False
) -> CompletionRequest:
    """A request from tokens or from text, which may be a whole fill-in-the-middle prompt.

    An empty prompt is the beginning of a file. Token healing may respell the end of the text.

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
        return CompletionRequest(prompt, None, _healed(sampling, prompt, None), echo=echo)
    prefix, suffix, order = found
    return CompletionRequest(prefix, suffix, sampling, order, echo=echo)


def gap_request(
    prefix: str, suffix: str, sampling: SamplingParams, files: Sequence[tuple[str, str]] = ()
) -> CompletionRequest:
    """A request to fill the gap between the two, whatever sentinels they contain.

    The order is the one that the model fills best. If the model does not say, the suffix comes first (SPM): typed text
    is then at the end of the prompt, so a keystroke costs the prefill of a few tokens. Prefix first, everything after
    the cursor would be prefilled again. Token healing may respell the end of the prefix.

    ``files``, names and texts, go before the prefix, where they are truncated first.

    Raises:
        UserError: nothing to start from, or text that no source file has.
    """
    for name, text in files:  # one by one: their positions are those that the client knows
        require_source_code("name of a file", name)
        require_source_code(f"file {name[:100]!r}", text)
    require_source_code("prefix", prefix)
    others = to_lf("".join(with_heading(name, text) for name, text in files))
    # other files may have other line endings than the client's file
    if uses_crlf(prefix, suffix):
        others = others.replace("\n", "\r\n")
    before = others + prefix
    return CompletionRequest(before, suffix, _healed(sampling, before, suffix), None, fit_gap=True)


def _healed(sampling: SamplingParams, prefix: str, suffix: str | None) -> SamplingParams:
    return replace(sampling, token_healing=is_on_by_default(prefix, suffix))


def stop_sequences(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    """One, several or no stop sequences, as protocols allow; empty ones, which some clients send, are ignored."""
    return tuple(filter(None, [stop] if isinstance(stop, str) else stop or ()))


def fitting_seed(seed: int | None, default: int | None, index: int = 0) -> int | None:
    """The seed of the text number ``index`` of a request: the request's own, if it is not negative, otherwise the
    server's ``default``. Larger seeds are reduced to the supported range.
    """
    chosen = default if seed is None or seed < 0 else seed
    return None if chosen is None else (chosen + index) % (MAX_SEED + 1)


def temperature_and_top_p(temperature: float, top_p: float) -> tuple[float, float]:
    """Both unchanged, except for a ``top_p`` of 0, by which protocols keep only the most likely token."""
    return (temperature, top_p) if top_p > 0 else (0.0, 1.0)
