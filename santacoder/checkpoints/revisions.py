"""Branches, histories and snapshots, wherever a model is: in our store, in the user's cache or on the Hub."""

from __future__ import annotations

from pathlib import Path

from santacoder.checkpoints import hub
from santacoder.checkpoints import store as local
from santacoder.checkpoints.hub import HubUnreachable
from santacoder.checkpoints.store import DEFAULT_STORE, Commit
from santacoder.errors import CheckpointError


def branches(repo_id: str, *, store: Path = DEFAULT_STORE, ask_hub: bool = True) -> dict[str, str]:
    """The branches of a repository and the commits they point to, ``main`` first.

    The Hub's list goes before the cache's, which has only what was once downloaded. Without ``ask_hub``, nothing waits
    for a network.

    Raises:
        CheckpointError: there is no such repository.
    """
    if found := local.branches(store, repo_id):
        return found
    try:
        if not ask_hub:
            raise HubUnreachable("The Hub was not asked.")
        return hub.branches(repo_id)
    except HubUnreachable as error:
        if cached := local.branches(hub.cache(), repo_id):
            return cached
        raise CheckpointError(f"{_absence(repo_id, store)} {error}") from error


def log(repo_id: str, branch: str = "main", *, store: Path = DEFAULT_STORE, ask_hub: bool = True) -> list[Commit]:
    """The commits of ``branch``, newest first; from the cache, only those that were downloaded. Without ``ask_hub``,
    nothing waits for a network.

    Raises:
        CheckpointError: there is no such repository or branch.
    """
    if local.branches(store, repo_id):
        return local.log(store, repo_id, branch, resolve(repo_id, branch, store=store).name)
    local.require_revision(repo_id, branch)
    try:
        if not ask_hub:
            raise HubUnreachable("The Hub was not asked.")
        return hub.log(repo_id, branch)
    except HubUnreachable as error:
        if sha := local.find(hub.cache(), repo_id, branch):
            return local.log(hub.cache(), repo_id, branch, sha)
        raise CheckpointError(f"{_absence(repo_id, store, branch)} {error} {_remedy(repo_id, branch)}") from error


def resolve(repo_id: str, revision: str = "main", *, store: Path = DEFAULT_STORE, download: bool = True) -> Path:
    """The snapshot folder of a revision, downloaded to the user's cache if it is nowhere on this machine.

    Without ``download`` the Hub is not asked. What is in the cache is taken as it is, without asking the Hub whether
    the branch has moved on.

    Raises:
        CheckpointError: the repository or revision does not exist; the message says what does, and how to get it.
    """
    if known := local.branches(store, repo_id):
        return _in_store(repo_id, revision, store, known)
    local.require_revision(repo_id, revision)
    sha = local.find(hub.cache(), repo_id, revision)
    if sha and hub.is_complete(local.snapshot(hub.cache(), repo_id, sha)):
        return local.snapshot(hub.cache(), repo_id, sha)
    if repo_id in local.EMBEDDED:
        raise CheckpointError(
            f"There is no {repo_id} in {store}. It comes with the repository, in checkpoints/: copy that folder there, "
            "or name it with --store."
        )
    if not download:
        raise CheckpointError(_absence(repo_id, store, revision))
    try:
        return hub.download(repo_id, revision)
    except HubUnreachable as error:
        raise CheckpointError(f"{_absence(repo_id, store, revision)} {error} {_remedy(repo_id, revision)}") from error


def folder_with(repo_id: str, *, store: Path = DEFAULT_STORE) -> Path | None:
    """The store or the user's cache, whichever on this machine has the repository; the Hub is not asked.

    Raises:
        CheckpointError: ``repo_id`` is not a name.
    """
    return next((folder for folder in (store, hub.cache()) if local.branches(folder, repo_id)), None)


def _in_store(repo_id: str, revision: str, store: Path, known: dict[str, str]) -> Path:
    sha = local.find(store, repo_id, revision)
    if sha is None:
        raise CheckpointError(f"{repo_id} has no revision {revision!r}. Its branches are: {', '.join(known)}.")
    folder = local.snapshot(store, repo_id, sha)
    if not folder.is_dir():
        raise CheckpointError(f"The files of {repo_id} at {revision} ({sha}) are missing from the store.")
    return folder


def _absence(repo_id: str, store: Path, revision: str | None = None) -> str:
    """What is here instead of what was asked for."""
    complete = [
        branch
        for branch, sha in local.branches(hub.cache(), repo_id).items()
        if hub.is_complete(local.snapshot(hub.cache(), repo_id, sha))
    ]
    if complete:
        return f"The Hugging Face cache has {repo_id} at {', '.join(complete)}, but not at {revision!r}."
    held = ", ".join(local.repositories(store)) or "nothing yet"
    at = f" at {revision!r}" if revision else ""
    return f"There is no model {repo_id!r}{at} in the store (it holds: {held}) or in the Hugging Face cache."


def _remedy(repo_id: str, revision: str) -> str:
    return f"To have it here, run `hf download {repo_id} --revision {revision}` where there is a network."
