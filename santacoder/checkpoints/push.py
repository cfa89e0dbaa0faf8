"""Uploading a branch of the store to the Hub, commit by commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from santacoder.checkpoints import store as local
from santacoder.checkpoints.hub import hub_answers
from santacoder.checkpoints.revisions import log
from santacoder.checkpoints.store import COMMIT_FILE, Commit
from santacoder.errors import CheckpointError

# files that the Hub itself puts into a repository
_OF_THE_HUB = (".gitattributes",)


def push(repo_id: str, branch: str, to: str, *, store: Path, report: Callable[[str], None] = print) -> None:
    """Upload ``branch`` of ``repo_id`` as the same branch of ``to``, oldest commit first.

    Commits that are already there are left out, so a push that was broken off goes on where it stopped.

    Raises:
        CheckpointError: the store has no such branch, or the Hub refuses or cannot be reached.
    """
    if branch not in local.branches(store, repo_id):
        known = ", ".join(local.branches(store, repo_id)) or "none"
        raise CheckpointError(f"There is no branch {branch!r} of {repo_id!r} in {store}; its branches there: {known}.")
    commits = log(repo_id, branch, store=store)[::-1]
    with hub_answers(to, branch):
        api = huggingface_hub.HfApi()
        api.create_repo(to, exist_ok=True)
        # a branch of its own begins at the commit that created the repository, not at the head of another branch
        root = api.list_repo_commits(to)[-1].commit_id
        api.create_branch(to, branch=branch, revision=root, exist_ok=True)
        remaining = commits[_already_there(to, branch, repo_id, commits, store) :]
        report(f"{len(commits) - len(remaining)} of {len(commits)} commits are already at {to}@{branch}.")
        for commit in remaining:
            folder = local.snapshot(store, repo_id, commit.sha)
            pushed = _commit(api, to, branch, folder, _title(commit))
            report(f"{commit.sha[:10]} → {pushed[:10]}  {_title(commit)}")


def _already_there(to: str, branch: str, repo_id: str, commits: list[Commit], store: Path) -> int:
    """How many of ``commits``, oldest first, the Hub has: up to that with its head's ``commit.json``."""
    try:
        head = Path(huggingface_hub.hf_hub_download(to, COMMIT_FILE, revision=branch)).read_bytes()
    except huggingface_hub.errors.EntryNotFoundError:
        return 0
    documents = [(local.snapshot(store, repo_id, commit.sha) / COMMIT_FILE).read_bytes() for commit in commits]
    return documents.index(head) + 1 if head in documents else 0


def _commit(api: huggingface_hub.HfApi, to: str, branch: str, folder: Path, title: str) -> str:
    """Make the head of ``branch`` equal to ``folder``; the sha it has on the Hub."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    there = api.list_repo_files(to, revision=branch)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()
    ]
    operations += [CommitOperationDelete(name) for name in there if name not in files and name not in _OF_THE_HUB]
    return api.create_commit(to, operations, commit_message=title, revision=branch).oid


def _title(commit: Commit) -> str:
    loss = "" if commit.validation_loss is None else f", validation loss {commit.validation_loss:.4f}"
    return f"Step {commit.step or 0:,}: {commit.tokens or 0:,} tokens{loss}"
