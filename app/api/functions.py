"""The page's functions as plain functions on text, for gradio_client and for agents as MCP tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.api.error_responses import explain
from app.api.fields import EndFields
from app.api.prompts import fitting_seed, gap_request
from app.api.start import start_run
from app.api.streams import Run
from app.api.texts import Text
from app.context import Server
from santacoder.engine.request import CompletionRequest
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams, StopAt


async def _finish_in_queue(run: Run, request: Request) -> list[Text]:
    try:
        return await run.finish(lambda piece: False)
    finally:
        run.close()


def functions(
    server: Server,
    caller: Callable[[], Request],
    finish: Callable[[Run, Request], Awaitable[list[Text]]] = _finish_in_queue,
) -> list[Callable[..., Awaitable[str]]]:
    """The functions. They raise a UserError whose message is a sentence.

    ``caller`` returns the request being answered, which has been counted against the rate limit. ``finish`` waits for
    the texts; by default, the request is one of Gradio's queue, which is over before the event runs.
    """

    async def complete_code(
        code: str,
        revision: str = "",
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop_at: StopAt = "none",
        stop_repetition: bool = False,
        token_healing: bool = True,
        min_logprob: float | None = None,
    ) -> str:
        """Continue source code where it ends, with the small code model SantaCoder.

        Args:
            code: Python, Java or JavaScript source code.
            revision: the model as repository@branch; empty for the server's own.
            max_new_tokens: maximum number of tokens to generate.
            temperature: 0 for greedy decoding, up to 2 for more variety.
            stop_at: ends the text at the end of the current "line", "block" or "function", or with "none" nowhere.
            stop_repetition: ends the text when it begins to repeat itself.
            token_healing: completes a word that the code ends inside of.
            min_logprob: ends the text before the first token with a lower log-probability, in nats; null: off.

        Returns:
            The text that continues the code, without the code itself.
        """
        fields = _Fields(stop_at, stop_repetition, token_healing, min_logprob)
        return await write(
            revision,
            lambda: fields.add_to(CompletionRequest(code, None, sampling(max_new_tokens, temperature))),
        )

    async def fill_in_code(
        prefix: str,
        suffix: str,
        revision: str = "",
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop_at: StopAt = "none",
        stop_repetition: bool = False,
        token_healing: bool | None = None,
        min_logprob: float | None = None,
    ) -> str:
        """Fill the gap between two pieces of source code, with the small code model SantaCoder.

        Args:
            prefix: the code before the gap.
            suffix: the code after the gap.
            revision: the model as repository@branch; empty for the server's own.
            max_new_tokens: maximum number of tokens to generate.
            temperature: 0 for greedy decoding, up to 2 for more variety.
            stop_at: ends the text at the end of the current "line", "block" or "function", or with "none" nowhere.
            stop_repetition: ends the text when it begins to repeat itself.
            token_healing: completes a word that the prefix ends inside of; null: where that measured better.
            min_logprob: ends the text before the first token with a lower log-probability, in nats; null: off.

        Returns:
            The text for the gap.
        """
        fields = _Fields(stop_at, stop_repetition, token_healing, min_logprob)
        return await write(
            revision,
            lambda: fields.add_to(gap_request(prefix, suffix, sampling(max_new_tokens, temperature))),
        )

    def sampling(max_new_tokens: int, temperature: float) -> SamplingParams:
        seed = fitting_seed(None, server.settings.seed)
        return SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)

    async def write(revision: str, request: Callable[[], CompletionRequest]) -> str:
        try:
            client = caller()
            run = await start_run(server, client, revision, lambda tokenizer: [request()])
            (text,) = await finish(run, client)
        except Exception as error:
            raise UserError(explain(error).message) from error
        return text.text

    return [complete_code, fill_in_code]


class _Fields(NamedTuple):
    """The fields that control where a text begins and ends."""

    stop_at: str
    stop_repetition: bool
    token_healing: bool | None
    min_logprob: float | None

    def add_to(self, request: CompletionRequest) -> CompletionRequest:
        """Apply the fields to ``request``.

        Raises:
            RequestValidationError: a value is invalid in the API.
        """
        try:
            return EndFields(**self._asdict()).with_ends(request)
        except ValidationError as error:
            details = [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
            raise RequestValidationError(details) from error
