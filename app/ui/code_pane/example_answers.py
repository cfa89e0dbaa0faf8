"""What the model writes after an example of the Complete pane: shown as a suggestion, and computed once per commit."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from app.generation.run import generate
from app.generation.task import Task, Written
from app.model_pool import Models
from app.settings import Settings
from app.ui.code_pane.example_code import PRESETS
from santacoder.errors import CheckpointError, UserError
from santacoder.languages import Language
from santacoder.sampling import SamplingParams

_LANGUAGES: dict[str, Language] = {preset.code: preset.language for preset in PRESETS if preset.pane == "complete"}
_MOST_TOKENS = 64
_MOST_ANSWERS = 256


def example_routes(models: Models, settings: Settings) -> APIRouter:
    """The route from which ``ghost.js`` gets the text.

    It has none (204) for other code than the examples, and for models that are not in memory: no model is loaded for a
    suggestion, except for the server's own.
    """
    router = APIRouter(include_in_schema=False)
    thread = ThreadPoolExecutor(1, thread_name_prefix="examples")  # so each text is computed once

    @lru_cache(_MOST_ANSWERS)
    def answer(repo_id: str, sha: str, code: str) -> str:
        sampling = SamplingParams(
            max_new_tokens=_MOST_TOKENS, temperature=0, stop_at="function", stop_repetition=True, token_healing=True
        )
        *_, last = generate(models, repo_id, sha, Task("complete", _LANGUAGES[code], (code,), sampling))
        if not isinstance(last, Written):
            raise UserError("The example could not be completed.")  # an exception, so that it is not cached
        return last.generation.candidates[0].completions[0].text

    def find(repo_id: str, revision: str, code: str) -> str:
        is_own = (repo_id, revision) == (settings.model, settings.revision)
        sha = models.commit(repo_id, revision) if is_own else models.loaded_commit(repo_id, revision)
        return answer(repo_id, sha, code) if sha else ""

    @router.get("/examples/answer")
    async def example_answer(model: str, revision: str, code: str) -> Response:
        if code not in _LANGUAGES:
            return Response(status_code=204)
        try:
            text = await asyncio.get_running_loop().run_in_executor(thread, find, model, revision, code)
        except (CheckpointError, UserError):  # a full queue, or a model that fails: Run says what is wrong
            text = ""
        return JSONResponse({"text": text}) if text.strip() else Response(status_code=204)

    return router
