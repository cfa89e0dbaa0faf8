"""Responses to Ollama's clients."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from typing import Any

from app.api.errors import ApiError, Explanation, explain
from app.api.ollama.bodies import GenerateBody
from app.api.running import Run, Text
from santacoder.engine.accumulator import Alternative, Token
from santacoder.tokenizer import Tokenizer


async def lines(body: GenerateBody, name: str, run: Run) -> AsyncIterator[str]:
    """One JSON object per line."""
    text = run.texts[0]
    try:
        async for piece in run.pieces():
            if piece.reason:
                yield json.dumps(last(body, name, run, text, piece.text, piece.tokens)) + "\n"
            else:
                logprobs = _logprobs(body, piece.tokens, run)
                yield json.dumps({**heading(name), "response": piece.text, "done": False, **logprobs}) + "\n"
    except ApiError as error:
        yield json.dumps(error_body(explain(error))) + "\n"


def heading(name: str) -> dict[str, Any]:
    return {"model": name, "created_at": datetime.now(timezone.utc).isoformat()}


def last(body: GenerateBody, name: str, run: Run, text: Text, response: str, tokens: Sequence[Token]) -> dict[str, Any]:
    """The last line, with the text not sent before; durations are in nanoseconds."""
    return {
        **heading(name),
        "response": response,
        "done": True,
        "done_reason": "length" if text.end == "limit" else "stop",
        **_logprobs(body, tokens, run),
        "total_duration": int((time.perf_counter() - run.started) * 1e9),
        "load_duration": 0,
        "prompt_eval_count": text.stream.n_prompt,
        "prompt_eval_duration": int((text.first_at - run.started) * 1e9),
        "eval_count": text.n_written,
        "eval_duration": int((text.last_at - text.first_at) * 1e9),
    }


def error_body(explanation: Explanation) -> dict[str, Any]:
    return {"error": explanation.message}


def _logprobs(body: GenerateBody, tokens: Sequence[Token], run: Run) -> dict[str, Any]:
    if not body.logprobs:
        return {}
    tokenizer = run.model.engine.tokenizer
    return {
        "logprobs": [
            {**_told(token, tokenizer), "top_logprobs": [_told(likely, tokenizer) for likely in token.top]}
            for token in tokens
        ]
    }


def _told(token: Token | Alternative, tokenizer: Tokenizer) -> dict[str, Any]:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(tokenizer.decode_bytes([token.id]))}
