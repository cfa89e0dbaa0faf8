"""The initial model of a run: randomly initialised, or a published revision in either format."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from santacoder import checkpoints
from santacoder.checkpoint_files import read_object
from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from train.config import TrainConfig
from train.model.dropout import add_dropout
from train.model.lora import add_updates


def starting_model(config: TrainConfig, tokenizer: Tokenizer, store: Path, *, weights: str = "") -> SantaCoder:
    """Create the initial model on the CPU, in fp32, ready for training, with dropout and low-rank updates.

    ``weights`` is the revision to start from, as REPO@COMMIT, if it is another than the base.

    Raises:
        UserError: the data was packed with a tokenizer other than the revision's.
        CheckpointError: the revision cannot be loaded.
    """
    torch.manual_seed(config.seed)
    if revision := weights or config.base:
        model = _loaded(revision, tokenizer, store)
    else:
        model = SantaCoder(config.model_config(tokenizer.vocab_size))
    if config.lora_rank:
        add_updates(model, config.lora_rank)
    if config.dropout:
        add_dropout(model, config.dropout)
    return model.train()


def resolve_base(name: str, store: Path) -> tuple[str, SantaCoderConfig]:
    """Resolve ``REPO`` or ``REPO@REVISION`` to ``REPO@COMMIT``, and return the model's shape as well.

    Raises:
        CheckpointError: the revision does not exist.
    """
    repo_id, _, revision = name.partition("@")
    snapshot = checkpoints.resolve(repo_id, revision or "main", store=store)
    return f"{repo_id}@{snapshot.name}", checkpoints.read_config(snapshot)


def is_base(base: str, name: str, store: Path) -> bool:
    """Whether a run that tunes ``base``, which is REPO@COMMIT or empty, can have been started from ``name``, which is
    REPO or REPO@REVISION. A branch may have newer commits since.

    Raises:
        CheckpointError: the revision does not exist.
    """
    repo_id, _, revision = name.partition("@")
    of_base, _, commit = base.partition("@")
    if repo_id != of_base or not revision or resolve_base(name, store)[0] == base:
        return repo_id == of_base
    history = checkpoints.log(repo_id, revision, store=store, ask_hub=False)
    return commit in {earlier.sha for earlier in history}


def require_adapter_names(base: str, store: Path) -> None:
    """Check that an adapter of a revision means the same to those who read its files in their own format.

    Raises:
        UserError: its rows of queries, keys and values are in another order there.
    """
    snapshot = _snapshot(base, store)
    is_original = read_object(snapshot / "config.json").get("model_type") == "gpt2"
    if is_original and not checkpoints.read_config(snapshot).multi_query:
        raise UserError(
            f"--save-adapter is not supported for {base}: its format has another order of queries, keys and values. "
            "Publish the tuned model with --publish instead."
        )


def base_tokenizer(base: str, store: Path) -> Tokenizer:
    """The tokenizer of a revision; data for fine-tuning the revision must be packed with it."""
    return Tokenizer.load(_snapshot(base, store) / "tokenizer.json")


def _loaded(base: str, tokenizer: Tokenizer, store: Path) -> SantaCoder:
    model, own = checkpoints.load(_snapshot(base, store))
    if _fingerprint(own) != _fingerprint(tokenizer):
        raise UserError(
            f"The data was packed with a different tokenizer than that of {base}: name the sources instead of --data "
            "so that they are packed with it."
        )
    return model.requires_grad_(True)


def _snapshot(base: str, store: Path) -> Path:
    repo_id, _, sha = base.partition("@")
    return checkpoints.resolve(repo_id, sha, store=store)


def _fingerprint(tokenizer: Tokenizer) -> str:
    """A hash that is equal for tokenizers whose ids mean the same."""
    digest = hashlib.sha256(repr(sorted(tokenizer.special_ids)).encode())
    for token_id in range(tokenizer.vocab_size):
        digest.update(tokenizer.decode_bytes([token_id]) + b"\0")
    return digest.hexdigest()
