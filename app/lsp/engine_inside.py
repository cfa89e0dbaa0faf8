"""Suggestions from an engine in this process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.api.llama_cpp.bodies import InfillBody, infill_request, logit_bias
from app.api.streams import Run
from app.errors import ApiError, sentence_for, sentences
from app.lsp.backends import Answer, BackendError
from app.lsp.local_signals import LocalSignals
from app.model_pool import Models, ServedModel
from app.settings import Settings
from app.tune.tuned_model import TUNED_BRANCH, tuned_commit, tuned_model
from santacoder.checkpoints.store import repo_folder
from santacoder.engine.request import CompletionRequest
from santacoder.errors import CheckpointError
from santacoder.tokenizer import Tokenizer

# Seconds that a thread may hold the interpreter lock while another waits for it. A suggestion passes it several times
# between the editor's messages and the engine, which may wait so long each time.
_SWITCH_INTERVAL = 0.001


def engine_inside(options: dict[str, Any], project: Path | None = None) -> EngineInside:
    """The engine with those ``options`` of the server (app/settings.py) that are given; the others are as in its
    environment. A model tuned to the folder ``project`` is preferred once there is one.

    Raises:
        BackendError: an option is wrong.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        return EngineInside(Settings(**options), project)
    except ValidationError as error:
        raise BackendError(sentences(error.errors())) from error
    except CheckpointError as error:  # there is no such device
        raise BackendError(str(error)) from error


class EngineInside:
    """The model tuned to ``project``, if there is one that can be loaded, otherwise that of ``settings``. A new one, or
    a new commit of its branch, is loaded at the next request."""

    def __init__(self, settings: Settings, project: Path | None = None) -> None:
        self._settings = settings
        self._project = project
        self._models = Models(settings)
        self._n_positions: int | None = None
        self._broken: str | None = None  # a commit of the tuned model that cannot be loaded
        self._notice = ""
        self._signals = LocalSignals()
        self._shas: dict[str, str] = {}  # of the models that have answered

    async def n_positions(self) -> int:
        if self._n_positions is None:
            (await self._acquire()).release()
        assert self._n_positions is not None
        return self._n_positions

    async def suggest(self, body: dict[str, Any]) -> Answer:
        run = Run(await self._acquire(), self._settings.max_seconds, lambda: None, in_pieces=False)
        try:
            run.submit(_requests(body, run.model.engine.tokenizer, self._settings.seed))
            return Answer([text.text for text in await run.finish(lambda piece: False)], run.model.name, self._notice)
        except ValidationError as error:
            raise BackendError(sentences(error.errors())) from error
        except Exception as error:
            raise BackendError(_sentence(error)) from error
        finally:
            run.close()

    async def report(self, feedback: dict[str, Any]) -> None:
        self._signals.add(feedback, self._shas.get(feedback["model"], ""))

    def close(self) -> None:
        self._signals.write()

    async def _acquire(self) -> ServedModel:
        """The model, loaded if needed.

        Raises:
            BackendError: it cannot be loaded.
        """
        settings = self._settings
        tuned = tuned_commit(self._project, settings.store) if self._project else None
        if self._project and tuned and tuned != self._broken:
            try:
                model = await self._load(tuned_model(self._project), TUNED_BRANCH)
                self._notice = ""
                return model
            except BackendError as error:
                self._broken = tuned
                folder = repo_folder(tuned_model(self._project), settings.store)
                self._notice = (
                    f"The model tuned to {self._project} cannot be loaded, so {settings.model}@{settings.revision} is "
                    f"used instead. To tune again, first delete {folder}. {error}"
                )
        return await self._load(settings.model, settings.revision)

    async def _load(self, repo_id: str, revision: str) -> ServedModel:
        acquiring = asyncio.ensure_future(asyncio.to_thread(self._models.acquire, repo_id, revision))
        try:
            model = await asyncio.shield(acquiring)
        except asyncio.CancelledError:  # nobody uses the model once it is loaded
            acquiring.add_done_callback(_release)
            raise
        except Exception as error:
            raise BackendError(_sentence(error)) from error
        self._n_positions = model.engine.runner.n_positions
        self._shas[model.name] = model.sha
        return model


def _requests(body: dict[str, Any], tokenizer: Tokenizer, seed: int | None) -> list[CompletionRequest]:
    asked = InfillBody.model_validate(body)
    biases = logit_bias(asked.logit_bias, tokenizer)
    samplings = [asked.sampling(index, biases, seed) for index in range(asked.n_cmpl)]
    return [asked.with_ends(infill_request(asked, sampling)) for sampling in samplings]


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, ApiError) else sentence_for(error)


def _release(acquiring: asyncio.Future[ServedModel]) -> None:
    if not acquiring.cancelled() and acquiring.exception() is None:
        acquiring.result().release()
