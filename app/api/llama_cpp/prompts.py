"""Prompts of llama.cpp's clients as engine requests."""

from __future__ import annotations

from dataclasses import replace

from app.api.llama_cpp.bodies import Extra, InfillBody, Prompt, PromptObject
from app.api.prompts import gap_request, raw_request
from santacoder.engine.line_ends import to_lf, uses_crlf
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


def infill_request(body: InfillBody, sampling: SamplingParams) -> CompletionRequest:
    """The gap between prefix and suffix. Other files go before the prefix, where they are truncated first."""
    prefix = body.input_prefix + body.prompt
    extras = to_lf("".join(map(_heading_and_text, body.input_extra)))
    # other files may have other line endings than the client's file
    if uses_crlf(prefix, body.input_suffix):
        extras = extras.replace("\n", "\r\n")
    return gap_request(extras + prefix, body.input_suffix, sampling)


def prompt_request(prompt: Prompt, sampling: SamplingParams, tokenizer: Tokenizer) -> CompletionRequest:
    """A prompt of text, tokens, or both. As in llama.cpp, it must fit in the context; only infilling prompts are
    truncated.

    Raises:
        UserError: a token that the model does not have.
    """
    if isinstance(prompt, PromptObject):
        prompt = prompt.prompt_string
    if isinstance(prompt, str):
        request = raw_request(prompt, sampling, tokenizer)
        return request if request.suffix is not None else replace(request, may_be_cut=False)
    text = "".join(part for part in prompt if isinstance(part, str))
    ids = [id_ for part in prompt for id_ in (tokenizer.encode(to_lf(part)) if isinstance(part, str) else [part])]
    return replace(raw_request(ids, sampling, tokenizer), crlf=uses_crlf(text), may_be_cut=False)


def _heading_and_text(extra: Extra) -> str:
    heading = f"# {extra.filename}\n" if extra.filename else ""
    return f"{heading}{extra.text}\n\n"
