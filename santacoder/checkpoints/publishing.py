"""Adding a commit to a branch of the store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from santacoder.atomic import replacing, sync_folder
from santacoder.checkpoints.store import COMMIT_FILE, DEFAULT_STORE, Commit, read_ref, require_branch
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from santacoder.weight_files import SAFETENSORS


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
    dtype: torch.dtype = torch.bfloat16,
    files: Mapping[str, str] | None = None,
    store: Path = DEFAULT_STORE,
) -> str:
    """Add a commit to ``branch`` and return its sha.

    ``metrics`` are scores by name, for ``commit.json``; ``files`` further texts by name, such as ``README.md``.

    The branch points to the new commit once that is complete; a kill before leaves the branch as it was.

    Raises:
        CheckpointError: a repository or branch name with characters the store does not take.
        OSError: the disk is full; the branch is as it was.
    """
    repo = require_branch(repo_id, branch, store)
    commit = Commit(
        branch=branch,
        parent=read_ref(repo, branch),
        step=step,
        tokens=tokens,
        validation_loss=validation_loss,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        metrics=dict(metrics or {}),
    )
    snapshots = repo / "snapshots"
    snapshots.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".incomplete-", dir=repo))
    try:
        _write_snapshot(staging, model, tokenizer, commit, dtype, files or {})
        sha = _content_sha(staging)
        staging.chmod(0o755)
        if not (snapshots / sha).exists():
            staging.replace(snapshots / sha)
            sync_folder(snapshots)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    with replacing(repo / "refs" / branch) as ref:
        ref.write(sha.encode())
    return sha


def _write_snapshot(
    folder: Path,
    model: SantaCoder,
    tokenizer: Tokenizer,
    commit: Commit,
    dtype: torch.dtype,
    files: Mapping[str, str],
) -> None:
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    try:
        save_file(weights, folder / SAFETENSORS, metadata={"format": "pt"})
    except SafetensorError as error:  # how the library reports that a write failed
        raise OSError(str(error)) from error
    tokenizer.save(folder / "tokenizer.json")
    end_of_text = tokenizer.end_of_text_id
    marks = (tokenizer.fim_prefix_id, tokenizer.fim_middle_id, tokenizer.fim_suffix_id, tokenizer.fim_pad_id)
    described = {key: value for key, value in asdict(commit).items() if key not in ("sha", "title")}
    documents = {
        "config.json": model.config.to_transformers(eos_token_id=end_of_text, dtype=str(dtype).removeprefix("torch.")),
        "generation_config.json": {"bos_token_id": end_of_text, "eos_token_id": end_of_text},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokenizer.decode([end_of_text]),
            "eos_token": tokenizer.decode([end_of_text]),
            "unk_token": tokenizer.decode([end_of_text]),
            "additional_special_tokens": [tokenizer.decode([mark]) for mark in marks],
            "clean_up_tokenization_spaces": False,
            "model_max_length": model.config.n_positions,
        },
        COMMIT_FILE: described,
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _content_sha(folder: Path) -> str:
    """40 hexadecimal digits, as long as git's, over names and contents."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
