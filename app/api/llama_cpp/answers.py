"""Responses to clients of llama.cpp's server."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

from app.api.error_responses import EXCEEDS_CONTEXT, Explanation, explain
from app.api.llama_cpp.bodies import SamplingBody
from app.api.openai import event
from app.api.prompts import stop_sequences
from app.api.streams import Run
from app.api.texts import Text, by_token, bytes_of
from app.errors import ApiError
from santacoder.engine.accumulator import Alternative, Token
from santacoder.engine.line_ends import to_lf
from santacoder.tokenizer import Tokenizer

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}
_STOP_TYPES = {"end": "eos", "word": "word", "limit": "limit"}


def result(text: Text, run: Run, body: SamplingBody, content: str) -> dict[str, Any]:
    """The final result of a text; ``content`` is the part not sent before."""
    tokenizer, stream = run.model.engine.tokenizer, text.stream
    answer = {
        "index": text.index,
        "content": content,
        "tokens": text.ids if body.return_tokens and not body.stream else [],
        "id_slot": stream.slot,
        "stop": True,
        "model": run.model.name,
        "tokens_predicted": text.n_written,
        "tokens_evaluated": stream.n_prompt,
        "generation_settings": {
            **generation_settings(body, stream.seed),
            "stop": list(stop_sequences(body.stop)),
            "logit_bias": _biases(text, body, tokenizer),
        },
        "prompt": tokenizer.decode(stream.prompt_ids),
        "has_new_line": "\n" in text.text,
        "truncated": stream.is_truncated or stream.n_prompt + text.n_written >= run.model.engine.runner.n_positions,
        "stop_type": _STOP_TYPES[text.end],
        "stopping_word": _stopping_word(text, stop_sequences(body.stop)) if text.end == "word" else "",
        "tokens_cached": stream.n_prompt + text.n_written,
        "timings": _timings(text, run),
    }
    if body.n_probs and not body.stream:
        answer["completion_probabilities"] = _probabilities(text.tokens, body, tokenizer)
    return answer


def chosen(answer: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """The requested ``fields``, by their full names: ``timings/prompt_n`` moves to the root. All, if none is named."""
    if not fields:
        return answer
    flat = {
        f"{outer}/{inner}": value
        for outer, inside in answer.items()
        if isinstance(inside, dict)
        for inner, value in inside.items()
    }
    return {name: value for name, value in (answer | flat).items() if name in fields}


async def lines(run: Run, body: SamplingBody) -> AsyncIterator[str]:
    """Server-sent events, one per token and one more at the end of each text."""
    try:
        async for piece in run.pieces():
            text = run.texts[piece.index]
            for token, shown in by_token(text, piece):
                yield event(_partial(text, token, shown, run, body))
            if piece.reason:
                yield event(chosen(result(text, run, body, ""), body.response_fields))
    except ApiError as error:
        yield event(error_body(explain(error)))


def generation_settings(body: SamplingBody, seed: int) -> dict[str, Any]:
    """Parameters as the server interprets them, with llama.cpp's names and order."""
    return {
        "seed": seed,
        "temperature": body.temperature,
        "dynatemp_range": body.dynatemp_range,
        "dynatemp_exponent": 1.0,
        "top_k": body.top_k,
        "top_p": body.top_p,
        "min_p": body.min_p,
        "top_n_sigma": body.top_n_sigma,
        "xtc_probability": body.xtc_probability,
        "xtc_threshold": 0.1,
        "typical_p": body.typical_p,
        "repeat_last_n": body.repeat_last_n,
        "repeat_penalty": body.repeat_penalty,
        "presence_penalty": body.presence_penalty,
        "frequency_penalty": body.frequency_penalty,
        "dry_multiplier": body.dry_multiplier,
        "mirostat": body.mirostat,
        "adaptive_target": body.adaptive_target,
        "adaptive_decay": 0.9,
        "max_tokens": body.n_predict,
        "n_predict": body.n_predict,
        "n_keep": 0,
        "n_discard": 0,
        "ignore_eos": body.ignore_eos,
        "stream": body.stream,
        "n_probs": body.n_probs,
        "min_keep": body.min_keep,
        "grammar": "",
        "samplers": body.sampler_names,
        "timings_per_token": body.timings_per_token,
        "post_sampling_probs": body.post_sampling_probs,
        "lora": [],
    }


def error_body(explanation: Explanation) -> dict[str, Any]:
    status, message, code, more = explanation
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"code": status, "message": message, "type": code if code == EXCEEDS_CONTEXT else kind, **more}}


def _partial(text: Text, token: Token | None, shown: str, run: Run, body: SamplingBody) -> dict[str, Any]:
    answer = {
        "index": text.index,
        "content": shown,
        "tokens": [] if token is None else [token.id],
        "stop": False,
        "id_slot": text.stream.slot,
        "tokens_predicted": text.n_written,
        "tokens_evaluated": text.stream.n_prompt,
    }
    if body.timings_per_token:
        answer["timings"] = _timings(text, run)
    if body.n_probs and token is not None:
        answer["completion_probabilities"] = _probabilities([token], body, run.model.engine.tokenizer)
    return answer


def _probabilities(tokens: Sequence[Token], body: SamplingBody, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    name, number = ("prob", math.exp) if body.post_sampling_probs else ("logprob", float)

    def told(token: Token | Alternative) -> dict[str, Any]:
        spelled = bytes_of(token, tokenizer)
        text = spelled.decode("utf-8", errors="ignore")
        return {"id": token.id, "token": text, "bytes": list(spelled), name: number(token.logprob or 0.0)}

    return [{**told(token), f"top_{name}s": [told(likely) for likely in token.top]} for token in tokens]


def _biases(text: Text, body: SamplingBody, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Biases; a banned token has no number, because JSON has no minus infinity."""
    banned = sorted(tokenizer.special_ids) if body.ignore_eos else []
    pairs = [*text.stream.logit_bias, *((token_id, -math.inf) for token_id in banned)]
    return [{"bias": bias if math.isfinite(bias) else None, "token": token_id} for token_id, bias in pairs]


def _stopping_word(text: Text, stop: Sequence[str]) -> str:
    """The stop sequence after the shown text, as the client spelled it."""
    behind = to_lf(text.behind)
    return next((word for word in stop if behind.startswith(to_lf(word))), "")


def _timings(text: Text, run: Run) -> dict[str, float]:
    return {
        "cache_n": text.stream.n_cached,
        **_timing("prompt", text.stream.n_prompt - text.stream.n_cached, text.first_at - run.started),
        **_timing("predicted", text.n_written, text.last_at - text.first_at),
        "draft_n": text.stream.n_drafted,
        "draft_n_accepted": text.stream.n_accepted,
    }


def _timing(phase: str, count: int, seconds: float) -> dict[str, float]:
    return {
        f"{phase}_n": count,
        f"{phase}_ms": seconds * 1000,
        f"{phase}_per_token_ms": seconds * 1000 / max(1, count),
        f"{phase}_per_second": count / seconds if seconds else 0.0,
    }
