"""Adding commits to branches of the store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from santacoder.atomic import replacing, sync_folder
from santacoder.checkpoints.store import (
    COMMIT_FILE,
    DEFAULT_STORE,
    GENERATION_FILE,
    Commit,
    log,
    read_commit,
    read_ref,
    repo_folder,
    require_branch,
    snapshot,
)
from santacoder.errors import CheckpointError
from santacoder.tokenizer import Tokenizer
from santacoder.weight_files import SAFETENSORS, are_complete

if TYPE_CHECKING:
    import torch

    from santacoder.model import SantaCoder

_STAGING = ".incomplete-"
_SECONDS_TO_WAIT = 600


def publish(
    model: SantaCoder,
    tokenizer: Tokenizer,
    repo_id: str,
    branch: str = "main",
    *,
    step: int = 0,
    tokens: int = 0,
    validation_loss: float | None = None,
    metrics: Mapping[str, float] | None = None,
    dtype: torch.dtype | None = None,
    files: Mapping[str, str] | None = None,
    store: Path = DEFAULT_STORE,
) -> str:
    """Add a commit to ``branch`` and return its sha.

    The branch points to the new commit once it is complete; if the process is killed before, the branch is unchanged.
    Only one process at a time adds to a repository; others wait.

    Args:
        model: the model whose weights are written.
        tokenizer: the model's tokenizer.
        repo_id: name of the repository, as ``org/name``.
        branch: branch to add to.
        step: number of training steps.
        tokens: number of training tokens.
        validation_loss: in nats per token.
        metrics: further scores by name, for ``commit.json``.
        dtype: type of the stored weights; by default, bf16.
        files: further text files by name, such as ``README.md``.
        store: folder of published models.

    Raises:
        CheckpointError: the name of the repository or branch is invalid, or another process has been adding to the
            repository for a long time.
        OSError: the disk is full; the branch is unchanged.
    """
    repo = require_branch(repo_id, branch, store)
    with _locked(repo), _staging(repo) as folder:
        commit = Commit(
            branch=branch,
            parent=read_ref(repo, branch),
            step=step,
            tokens=tokens,
            validation_loss=validation_loss,
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            metrics=dict(metrics or {}),
        )
        _write_snapshot(folder, model, tokenizer, commit, dtype, files or {})
        return _commit(repo, branch, folder)


def add_files(repo_id: str, branch: str, files: Mapping[str, bytes | Path], *, store: Path = DEFAULT_STORE) -> str:
    """Add a commit to ``branch`` with the files of its newest commit and ``files``, and return its sha.

    ``files`` maps names in the snapshot to contents or to paths to copy. Existing files with the same name are
    replaced. A sha identifies its files, so later results for a commit (scores, graphs) are added in a new commit;
    files that both share are hard links.

    Raises:
        CheckpointError: the branch does not exist in the store.
        OSError: the disk is full; the branch is unchanged.
    """
    repo = repo_folder(repo_id, store)
    _newest(repo_id, branch, store)
    with _locked(repo), _staging(repo) as folder:
        newest = _newest(repo_id, branch, store)
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        commit = replace(read_commit(newest, branch), branch=branch, parent=newest.name, date=date)
        for path in newest.rglob("*"):
            name = path.relative_to(newest).as_posix()
            if path.is_file() and name not in (COMMIT_FILE, *files):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                _link(path, folder / name)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                shutil.copyfile(content, folder / name)
        (folder / COMMIT_FILE).write_text(_described(commit))
        return _commit(repo, branch, folder)


def copy_branch(repo_id: str, branch: str, source: Path, target: Path, *, n_commits: int | None = None) -> str:
    """Copy ``branch`` from the store ``source`` to the store ``target``, and return its sha.

    Of several commits for the same step, which differ in graphs and scores, only the newest is copied, so that weights
    are not stored twice where files cannot be linked, as in a Git repository. Of these, the last ``n_commits`` are
    copied, or all.

    Raises:
        CheckpointError: the branch or its files do not exist in ``source``, or are damaged.
        OSError: the disk is full; the branch is unchanged.
    """
    sha = read_ref(repo_folder(repo_id, source), branch)
    if not (sha and snapshot(source, repo_id, sha).is_dir()):
        raise CheckpointError(f"There is no branch {branch!r} of {repo_id!r} in {source} to copy.")
    if not are_complete(snapshot(source, repo_id, sha)):
        raise CheckpointError(f"The weights of {repo_id}@{branch} in {source} are not complete.")
    newest_of_step: dict[int | None, Commit] = {}
    for commit in log(source, repo_id, branch, sha):
        newest_of_step.setdefault(commit.step, commit)
    repo, parent = require_branch(repo_id, branch, target), None
    with _locked(repo):
        for commit in reversed(list(newest_of_step.values())[:n_commits]):
            with _staging(repo) as folder:
                shutil.copytree(snapshot(source, repo_id, commit.sha), folder, dirs_exist_ok=True)
                (folder / COMMIT_FILE).write_text(_described(replace(commit, parent=parent)))
                parent = _commit(repo, branch, folder)
    assert parent is not None
    return parent


def _newest(repo_id: str, branch: str, store: Path) -> Path:
    """The newest snapshot of a branch.

    Raises:
        CheckpointError: the branch does not exist in the store.
    """
    sha = read_ref(repo_folder(repo_id, store), branch)
    folder = snapshot(store, repo_id, sha) if sha else None
    if folder is None or not folder.is_dir():
        raise CheckpointError(f"There is no branch {branch!r} of {repo_id!r} in {store} to add files to.")
    return folder


@contextmanager
def _locked(repo: Path) -> Iterator[None]:
    """Lock ``repo`` against other publications, so that no commit is lost between reading and moving a branch.

    Raises:
        CheckpointError: another process holds the lock for too long.
    """
    locks = repo.parent / ".locks"  # the folder that huggingface_hub uses for locks of a cache
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{repo.name}.lock", timeout=_SECONDS_TO_WAIT)
    try:
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(
            f"Another process has been adding to {repo.name} for {_SECONDS_TO_WAIT / 60:.0f} minutes; try again later."
        ) from error
    try:
        _sweep(repo)
        yield
    finally:
        lock.release()


def _sweep(repo: Path) -> None:
    """Remove the files of interrupted publications. The caller must hold the lock and not have written yet."""
    for folder in repo.glob(f"{_STAGING}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (repo / "refs").glob(".*.incomplete"):
        file.unlink(missing_ok=True)


@contextmanager
def _staging(repo: Path) -> Iterator[Path]:
    """A temporary folder for the files of a commit; it is deleted at the end of the block if it still exists."""
    (repo / "snapshots").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=repo))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _commit(repo: Path, branch: str, staging: Path) -> str:
    """Turn ``staging`` into a snapshot, move ``branch`` to it, and return its sha."""
    for path in _files(staging):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    snapshots, sha = repo / "snapshots", content_sha(staging)
    staging.chmod(0o755)
    if not (snapshots / sha).exists():
        staging.replace(snapshots / sha)
        sync_folder(snapshots)
    with replacing(repo / "refs" / branch) as ref:
        ref.write(sha.encode())
    return sha


def _link(source: Path, target: Path) -> None:
    """Create a hard link, or a copy if the file system does not support links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_snapshot(
    folder: Path,
    model: SantaCoder,
    tokenizer: Tokenizer,
    commit: Commit,
    dtype: torch.dtype | None,
    files: Mapping[str, str],
) -> None:
    import torch
    from safetensors.torch import save_file

    dtype = dtype or torch.bfloat16
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    try:
        save_file(weights, folder / SAFETENSORS, metadata={"format": "pt"})
    except SafetensorError as error:  # the library reports failed writes this way
        raise OSError(str(error)) from error
    tokenizer.save(folder / "tokenizer.json")
    end_of_text = tokenizer.end_of_text_id
    marks = (tokenizer.fim_prefix_id, tokenizer.fim_middle_id, tokenizer.fim_suffix_id, tokenizer.fim_pad_id)
    documents = {
        "config.json": model.config.to_transformers(eos_token_id=end_of_text, dtype=str(dtype).removeprefix("torch.")),
        GENERATION_FILE: {"bos_token_id": end_of_text, "eos_token_id": end_of_text},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokenizer.decode([end_of_text]),
            "eos_token": tokenizer.decode([end_of_text]),
            "unk_token": tokenizer.decode([end_of_text]),
            "additional_special_tokens": [tokenizer.decode([mark]) for mark in marks],
            "clean_up_tokenization_spaces": False,
            # without it, transformers before version 5 adds the embedding of token 0 to every position, as its token
            # type
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": model.config.n_positions,
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")
    (folder / COMMIT_FILE).write_text(_described(commit))
    for name, text in files.items():
        (folder / name).write_text(text)


def _described(commit: Commit) -> str:
    """The contents of ``commit.json``."""
    fields = {key: value for key, value in asdict(commit).items() if key not in ("sha", "title")}
    return json.dumps(fields, indent=2) + "\n"


def content_sha(folder: Path) -> str:
    """A hash of names and contents with 40 hexadecimal digits, like git's."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
