"""Which repositories the page and the API may name, and what is downloaded from the Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.checkpoints.adapted import MARK
from santacoder.experiments import PUBLISHED


class Repositories:
    """The repositories in the store, the server's own model, and the published one if downloads are allowed.

    Any other name would let a client make the server download and open untrusted files from the Hub.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def here(self) -> list[str]:
        """The server's own model and the models in the store."""
        return list(dict.fromkeys([self._settings.model, *checkpoints.repositories(self._settings.store)]))

    def names(self) -> list[str]:
        """All repositories that may be named."""
        published = [PUBLISHED] if self._settings.downloads_are_allowed else []
        return list(dict.fromkeys([*self.here(), *published]))

    def may_name(self, repo_id: str) -> bool:
        """Whether clients may use ``repo_id``."""
        published = self._settings.downloads_are_allowed and repo_id == PUBLISHED
        is_known = repo_id == self._settings.model or published
        return is_known or checkpoints.has_repository(self._settings.store, repo_id)

    def require(self, repo_id: str) -> None:
        """Check that clients may use ``repo_id``.

        Raises:
            CheckpointError: ``repo_id`` may not be used on this server.
        """
        if self.may_name(repo_id):
            return
        if repo_id == PUBLISHED:
            raise CheckpointError(f"{PUBLISHED} is not served here; the operator can allow it with --allow-downloads.")
        raise CheckpointError(f"There is no model {repo_id[:100]!r} here. Available models: {', '.join(self.here())}.")

    def snapshot(
        self, repo_id: str, revision: str, report: Callable[[int, int], None] = lambda here, total: None
    ) -> Path:
        """The folder of a revision, downloaded if that is allowed. The server's own model is always allowed.
        ``report`` is called with the number of bytes that have arrived, and of all.

        Raises:
            CheckpointError: the repository may not be used, or does not exist.
        """
        self.require(repo_id)
        revision = self.with_adapter(revision)
        is_own = (repo_id, revision) == (self._settings.model, self._settings.revision)
        download = is_own or self._settings.downloads_are_allowed
        return checkpoints.resolve(repo_id, revision, store=self._settings.store, download=download, report=report)

    def with_adapter(self, revision: str) -> str:
        """``revision`` with the folder or repository of its adapter, if it names one as ``REVISION+NAME``.

        Raises:
            CheckpointError: the adapter may not be used on this server.
        """
        base, mark, name = revision.partition(MARK)
        if not mark or revision == self._settings.revision:
            return revision
        known = self._settings.adapters_by_name
        if name not in known and name not in known.values():
            held = ", ".join(known) or "none"
            raise CheckpointError(
                f"There is no adapter {name[:100]!r} here; the operator names them with --adapters. Available: {held}."
            )
        return f"{base}{mark}{known.get(name, name)}"
