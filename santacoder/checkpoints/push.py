"""Uploading a branch of the store to the Hub, commit by commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError

from santacoder.checkpoints import store as local
from santacoder.checkpoints.hub import hub_answers
from santacoder.checkpoints.revisions import log
from santacoder.checkpoints.store import COMMIT_FILE, Commit
from santacoder.errors import CheckpointError


def push(repo_id: str, branch: str, to: str, *, store: Path, report: Callable[[str], None] = print) -> None:
    """Upload ``branch`` of ``repo_id`` to the same branch of ``to``, oldest commit first.

    Commits that are already there are skipped, so an interrupted upload can be continued.

    Raises:
        CheckpointError: the branch does not exist in the store, or the Hub reports an error or cannot be reached.
    """
    if branch not in local.branches(store, repo_id):
        known = ", ".join(local.branches(store, repo_id)) or "none"
        raise CheckpointError(f"There is no branch {branch!r} of {repo_id!r} in {store}; its branches there: {known}.")
    local.repo_folder(to, store)  # raises if the name is invalid
    commits = log(repo_id, branch, store=store)[::-1]
    with hub_answers(to, branch):
        api = HfApi()
        api.create_repo(to, exist_ok=True)
        # a new branch begins at the commit that created the repository, not at the head of another branch
        root = api.list_repo_commits(to)[-1].commit_id
        api.create_branch(to, branch=branch, revision=root, exist_ok=True)
        done = _already_there(to, branch, repo_id, commits, store)
        report(f"{done} of {len(commits)} commits are already at {to}@{branch}.")
        folders = [local.snapshot(store, repo_id, commit.sha) for commit in commits]
        for index in range(done, len(commits)):
            replaced = folders[index - 1] if index else None
            sha = _commit(api, to, branch, folders[index], replaced, _title(commits[index]))
            report(f"{commits[index].sha[:10]} → {sha[:10]}  {_title(commits[index])}")


def _already_there(to: str, branch: str, repo_id: str, commits: list[Commit], store: Path) -> int:
    """How many of ``commits``, oldest first, the Hub has: those up to the one in its head's ``commit.json``.

    Raises:
        CheckpointError: its head is a commit that is not among ``commits``.
    """
    try:
        head = Path(huggingface_hub.hf_hub_download(to, COMMIT_FILE, revision=branch)).read_bytes()
    except EntryNotFoundError:
        return 0
    documents = [(local.snapshot(store, repo_id, commit.sha) / COMMIT_FILE).read_bytes() for commit in commits]
    if head not in documents:
        raise CheckpointError(f"{to}@{branch} ends with a commit that is not in the store; push to another repository.")
    return documents.index(head) + 1


def _commit(api: HfApi, to: str, branch: str, folder: Path, replaced: Path | None, title: str) -> str:
    """Replace the files of ``replaced`` with those of ``folder`` in a commit on the Hub, and return its sha."""
    files = _files(folder)
    gone = _files(replaced).keys() - files.keys() if replaced else set()
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()),
        *(CommitOperationDelete(name) for name in api.list_repo_files(to, revision=branch) if name in gone),
    ]
    return api.create_commit(to, operations, commit_message=title, revision=branch).oid


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _title(commit: Commit) -> str:
    loss = "" if commit.validation_loss is None else f", validation loss {commit.validation_loss:.4f}"
    return f"Step {commit.step or 0:,}: {commit.tokens or 0:,} tokens{loss}"
