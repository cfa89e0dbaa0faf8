"""The dependencies of every endpoint and pane: settings, models, attribution indexes, limits, health checks."""

from __future__ import annotations

from dataclasses import dataclass, field

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool

from app.attribution_indexes import Indexes
from app.errors import MODEL_NOT_FOUND, ApiError
from app.limits import Limits, RateLimits
from app.model_pool import Models, ServedModel
from app.observability.health import Health
from app.project.project_context import ProjectContext
from app.settings import Settings
from app.shares.signals import Signals
from app.split import branch_of
from santacoder import checkpoints
from santacoder.checkpoints.adapted import MARK

_OPENINGS = 40


@dataclass(frozen=True)
class Server:
    """The dependencies of every endpoint."""

    settings: Settings
    models: Models
    indexes: Indexes
    limits: Limits
    health: Health
    signals: Signals
    rates: RateLimits
    project: ProjectContext | None = None
    openings: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_OPENINGS))
    """For the threads of requests whose model is not in memory."""

    @property
    def default_model(self) -> str:
        return f"{self.settings.model}@{self.settings.revision}"

    def revisions(self) -> list[str]:
        """All branches of the store as ``repo@revision``, the server's own first, with each adapter and without."""
        store = self.settings.store
        stored = [
            f"{repo_id}@{branch}"
            for repo_id in checkpoints.repositories(store)
            for branch in checkpoints.branches(repo_id, store=store, ask_hub=False)
        ]
        adapted = [f"{self.default_model}{MARK}{name}" for name in self.settings.adapters_by_name]
        return list(dict.fromkeys([self.default_model, *adapted, *stored]))

    def chosen(self, name: str | None, client: str = "") -> tuple[str, str]:
        """The repository and revision of ``name``, given as ``repo@revision`` or ``repo:revision``; by default the
        server's. With ``--split``, a name without a revision is the branch of ``client``, if it is known.

        As in Ollama, ``repo:latest`` means ``repo``.

        Raises:
            ApiError: this server has no such model.
        """
        repo_id, _, revision = (name or self.default_model).removesuffix(":latest").replace(":", "@", 1).partition("@")
        if not self.models.repositories.may_name(repo_id):
            held = ", ".join(self.models.repositories.here())
            raise ApiError(404, f"There is no model {name!r} here. Available models: {held}.", code=MODEL_NOT_FOUND)
        split = self.settings.branches_of_split
        if split and client and repo_id == self.settings.model and (not name or not revision):
            return repo_id, branch_of(client, split)
        return repo_id, revision or "main"

    def answered_name(self, name: str | None, served: str) -> str:
        """What a response calls the model ``served``: as the client does, unless its name stands for several
        branches."""
        return served if self.settings.branches_of_split or not name else name

    async def acquire(self, name: str | None, client: str = "") -> ServedModel:
        """Acquire the model that ``name`` selects for ``client``.

        Raises:
            ApiError: this server has no such model.
            CheckpointError: the revision does not exist or cannot be loaded.
        """

        def in_memory() -> tuple[str, str, ServedModel | None]:
            repo_id, revision = self.chosen(name, client)
            return repo_id, revision, self.models.acquire_loaded(repo_id, revision)

        repo_id, revision, loaded = await run_in_threadpool(in_memory)  # it reads the disk
        if loaded:
            return loaded
        # opening may take minutes, and must not take the threads of other requests
        return await to_thread.run_sync(self.models.acquire, repo_id, revision, limiter=self.openings)
