"""Prompts and parameters as clients send them, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable

from santacoder import fim
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import MAX_SEED, SamplingParams
from santacoder.tokenizer import Tokenizer

UNLIMITED_NEW_TOKENS = 512
"""Where a client sets no limit. Half of the context would otherwise be kept free of the prompt for new tokens."""


def raw_request(prompt: str | list[int], sampling: SamplingParams, tokenizer: Tokenizer) -> CompletionRequest:
    """A request from tokens or from text, which may be a whole fill-in-the-middle prompt.

    Raises:
        UserError: nothing to start from, or a token the model does not have.
    """
    if not isinstance(prompt, str):
        known = [token_id for token_id in prompt if 0 <= token_id < tokenizer.vocab_size]
        return CompletionRequest(tokenizer.decode(known), None, sampling, prefix_ids=tuple(prompt))
    found = fim.parse_prompt(prompt)
    if found is None:
        return CompletionRequest(prompt, None, sampling)
    prefix, suffix, order = found
    return CompletionRequest(prefix, suffix, sampling, order)


def gap_request(prefix: str, suffix: str, sampling: SamplingParams) -> CompletionRequest:
    """What belongs between the two, whatever marks they contain.

    Suffix first (SPM): what is typed stands at the end of the prompt then, so that a keystroke costs the reading of a
    few tokens. The other way round all that is behind the cursor would be read again.
    """
    return CompletionRequest(prefix, suffix, sampling, "spm")


def stop_sequences(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    """One, several or none, as protocols allow; empty ones, which some clients send, are none."""
    return tuple(filter(None, [stop] if isinstance(stop, str) else stop or ()))


def fitting_seed(seed: int | None, index: int = 0) -> int | None:
    """The seed of the text number ``index`` of a request. Negative means none; larger ones than ours are folded."""
    return None if seed is None or seed < 0 else (seed + index) % (MAX_SEED + 1)
