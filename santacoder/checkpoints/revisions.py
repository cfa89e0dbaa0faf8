"""Branches, histories and snapshots of models in the store, in the user's cache or on the Hub."""

from __future__ import annotations

from pathlib import Path

from santacoder.checkpoints import adapted, hub
from santacoder.checkpoints import store as local
from santacoder.checkpoints.hub import HubUnreachable
from santacoder.checkpoints.resumable import Report
from santacoder.checkpoints.store import DEFAULT_STORE, Commit
from santacoder.errors import CheckpointError


def branches(repo_id: str, *, store: Path = DEFAULT_STORE, ask_hub: bool = True) -> dict[str, str]:
    """The branches of a repository and their commits, ``main`` first.

    The Hub's list takes precedence over the cache's, which has only downloaded branches. If ``ask_hub`` is false, the
    network is not used.

    Raises:
        CheckpointError: the repository does not exist.
    """
    if found := local.branches(store, repo_id):
        return found
    try:
        if not ask_hub:
            raise HubUnreachable("The Hub was not contacted.")
        return hub.branches(repo_id)
    except HubUnreachable as error:
        if cached := local.branches(hub.cache(), repo_id):
            return cached
        raise CheckpointError(f"{_absence(repo_id, store)} {error}") from error


def log(repo_id: str, branch: str = "main", *, store: Path = DEFAULT_STORE, ask_hub: bool = True) -> list[Commit]:
    """The commits of ``branch``, newest first; the cache has only downloaded ones. If ``ask_hub`` is false, the network
    is not used.

    Raises:
        CheckpointError: the repository or branch does not exist.
    """
    if local.branches(store, repo_id):
        return local.log(store, repo_id, branch, resolve(repo_id, branch, store=store, download=ask_hub).name)
    local.require_revision(repo_id, branch)
    try:
        if not ask_hub:
            raise HubUnreachable("The Hub was not contacted.")
        return hub.log(repo_id, branch)
    except HubUnreachable as error:
        if sha := local.find(hub.cache(), repo_id, branch):
            return local.log(hub.cache(), repo_id, branch, sha)
        raise CheckpointError(f"{_absence(repo_id, store, branch)} {error} {_remedy(repo_id, branch)}") from error


def resolve(
    repo_id: str,
    revision: str = "main",
    *,
    store: Path = DEFAULT_STORE,
    download: bool = True,
    report: Report | None = None,
) -> Path:
    """The snapshot folder of a revision. It is downloaded to the user's cache if it is not on this machine; ``report``
    is called with the number of bytes that have arrived, and of all.

    ``REVISION+ADAPTER`` is a revision with a LoRA adapter, which is a folder or a repository of the Hub.

    If ``download`` is false, the Hub is not used. A snapshot in the cache is used without checking whether the branch
    on the Hub is newer.

    Raises:
        CheckpointError: the repository or revision does not exist; the message says which exist, and how to get it.
    """
    base, mark, adapter = revision.partition(adapted.MARK)
    if mark:
        snapshot = resolve(repo_id, base or "main", store=store, download=download, report=report)
        return adapted.adapted_snapshot(snapshot, _adapter(adapter, download, report))
    if snapshot_of_both := adapted.known_snapshot(repo_id, revision):
        return snapshot_of_both
    if known := local.branches(store, repo_id):
        return _in_store(repo_id, revision, store, known)
    local.require_revision(repo_id, revision)
    sha = local.find(hub.cache(), repo_id, revision)
    if sha and hub.is_complete(local.snapshot(hub.cache(), repo_id, sha)):
        return local.snapshot(hub.cache(), repo_id, sha)
    if repo_id in local.EMBEDDED:
        raise CheckpointError(
            f"There is no {repo_id} in {store}. It is part of the repository, in checkpoints/: copy that folder there, "
            "or name it with --store."
        )
    if not download:
        raise CheckpointError(_absence(repo_id, store, revision))
    try:
        return hub.download(repo_id, revision, report)
    except HubUnreachable as error:
        raise CheckpointError(f"{_absence(repo_id, store, revision)} {error} {_remedy(repo_id, revision)}") from error


def is_here(repo_id: str, revision: str, store: Path) -> bool:
    """Whether a revision's files are on this machine."""
    try:
        resolve(repo_id, revision, store=store, download=False)
        return True
    except CheckpointError:
        return False


def folder_with(repo_id: str, *, store: Path = DEFAULT_STORE) -> Path | None:
    """The store or the user's cache, whichever contains the repository, or None. The Hub is not used.

    Raises:
        CheckpointError: ``repo_id`` is not a valid name.
    """
    return next((folder for folder in (store, hub.cache()) if local.branches(folder, repo_id)), None)


def _adapter(name: str, download: bool, report: Report | None) -> Path:
    """The folder of an adapter: a folder, or ``ORG/NAME`` or ``ORG/NAME@REVISION`` on the Hub."""
    if folder := adapted.local_adapter(name):
        return folder
    repo_id, _, revision = name.partition("@")
    local.repo_folder(repo_id, hub.cache())  # raises if it is no name
    sha = local.find(hub.cache(), repo_id, revision or "main")
    if sha and adapted.is_complete(snapshot := local.snapshot(hub.cache(), repo_id, sha)):
        return snapshot
    if not download:
        raise CheckpointError(f"There is no adapter {name!r}, as a folder or in the Hugging Face cache.")
    return hub.download_adapter(repo_id, revision or "main", report)


def _in_store(repo_id: str, revision: str, store: Path, known: dict[str, str]) -> Path:
    sha = local.find(store, repo_id, revision)
    if sha is None:
        raise CheckpointError(f"{repo_id} has no revision {revision!r}. Its branches are: {', '.join(known)}.")
    folder = local.snapshot(store, repo_id, sha)
    if not folder.is_dir():
        raise CheckpointError(f"The files of {repo_id} at {revision} ({sha}) are missing from the store.")
    return folder


def _absence(repo_id: str, store: Path, revision: str | None = None) -> str:
    """Describe what exists in place of the requested model or revision."""
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
    return f"To get it, run `hf download {repo_id} --revision {revision}` with a network connection."
