"""The page's work as plain functions, from text to text: for gradio_client, and for agents as MCP tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from fastapi import Request

from app.api.errors import explain
from app.api.prompts import gap_request
from app.api.running import Server
from santacoder.engine.request import CompletionRequest
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams


def functions(server: Server, caller: Callable[[], Request]) -> list[Callable[..., Awaitable[str]]]:
    """They raise a UserError whose message is a sentence. ``caller`` tells whose request is being answered."""

    async def complete_code(code: str, revision: str = "", max_new_tokens: int = 64, temperature: float = 0.0) -> str:
        """Continue source code where it ends, with the small code model SantaCoder.

        Args:
            code: Python, Java or JavaScript source code.
            revision: the model as repository@branch; empty for the server's own.
            max_new_tokens: the most tokens to write.
            temperature: 0 for the likeliest text, up to 2 for more variety.

        Returns:
            The text that continues the code, without the code itself.
        """
        return await write(
            revision,
            lambda: CompletionRequest(code, None, replace(_sampling(max_new_tokens, temperature), token_healing=True)),
        )

    async def fill_in_code(
        prefix: str, suffix: str, revision: str = "", max_new_tokens: int = 64, temperature: float = 0.0
    ) -> str:
        """Write what is missing between two pieces of source code, with the small code model SantaCoder.

        Args:
            prefix: the code before the gap.
            suffix: the code after the gap.
            revision: the model as repository@branch; empty for the server's own.
            max_new_tokens: the most tokens to write.
            temperature: 0 for the likeliest text, up to 2 for more variety.

        Returns:
            The text for the gap.
        """
        return await write(revision, lambda: gap_request(prefix, suffix, _sampling(max_new_tokens, temperature)))

    async def write(revision: str, request: Callable[[], CompletionRequest]) -> str:
        try:
            client = caller()
            server.limits.check_rate(client)
            run = await server.start(client, revision, lambda tokenizer: [request()])
            try:
                (text,) = await run.finish(lambda piece: False)
            finally:
                run.close()
        except Exception as error:
            raise UserError(explain(error).message) from error
        return text.text

    return [complete_code, fill_in_code]


def _sampling(max_new_tokens: int, temperature: float) -> SamplingParams:
    return SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature)
