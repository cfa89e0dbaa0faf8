"""Which repositories the page and the API may name, and what is downloaded from the Hub."""

from __future__ import annotations

from pathlib import Path

from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
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
        return repo_id in self.names()

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

    def snapshot(self, repo_id: str, revision: str) -> Path:
        """The folder of a revision, downloaded if that is allowed. The server's own model is always allowed.

        Raises:
            CheckpointError: the repository may not be used, or does not exist.
        """
        self.require(repo_id)
        is_own = (repo_id, revision) == (self._settings.model, self._settings.revision)
        download = is_own or self._settings.downloads_are_allowed
        return checkpoints.resolve(repo_id, revision, store=self._settings.store, download=download)
