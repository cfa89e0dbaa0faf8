"""From a revision to a model and its tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch

from santacoder.checkpoint_files import read_object, shown
from santacoder.checkpoints.revisions import resolve
from santacoder.checkpoints.store import DEFAULT_STORE
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError, UserError
from santacoder.model import SantaCoder
from santacoder.paths import user_path
from santacoder.tokenizer import Tokenizer
from santacoder.weights import Dialect, load_model


def load(
    repo_id_or_folder: str | Path,
    revision: str = "main",
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    store: Path = DEFAULT_STORE,
    report: Callable[[float], None] = lambda share: None,
) -> tuple[SantaCoder, Tokenizer]:
    """The model, in evaluation mode, and its tokenizer, by name or from a folder with a snapshot's files.

    ``report`` is told which share of the weights has been read, from 0 to 1.

    Raises:
        CheckpointError: nothing there, or a file is damaged; the message names the file and what is wrong with it.
    """
    folder = user_path(repo_id_or_folder)
    if not repo_id_or_folder or not folder.is_dir():
        folder = resolve(str(repo_id_or_folder), revision, store=store)
    config, model_type = _read(folder)
    tokenizer = read_tokenizer(folder)
    return load_model(folder, config, model_type, dtype, torch.device(device), report).eval(), tokenizer


def read_config(folder: Path) -> SantaCoderConfig:
    """The shape of the model in a folder with a snapshot's files.

    Raises:
        CheckpointError: there is no ``config.json``, or it describes another architecture.
    """
    return _read(folder)[0]


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a folder with a snapshot's files.

    Raises:
        CheckpointError: it is missing, damaged, or has more tokens than the model beside it.
    """
    file = folder / "tokenizer.json"
    if not file.exists():
        raise CheckpointError(
            f"{shown(folder)} has no tokenizer.json. Copy that of the model it was made from beside its weights, or "
            "have transformers write it: AutoTokenizer.from_pretrained(THAT MODEL).save_pretrained(THIS FOLDER)."
        )
    try:
        tokenizer = _tokenizer(file, file.stat().st_mtime_ns)
    except UserError as error:
        raise CheckpointError(str(error)) from error
    vocab_size = read_config(folder).vocab_size
    if tokenizer.vocab_size > vocab_size:
        raise CheckpointError(
            f"{shown(folder / 'tokenizer.json')} has {tokenizer.vocab_size} tokens, more than the {vocab_size} of the "
            "model beside it."
        )
    return tokenizer


@lru_cache(maxsize=8)
def _tokenizer(file: Path, _modified_ns: int) -> Tokenizer:
    """Kept, as reading one takes a second in which nobody else is answered (AMD EPYC Zen 3)."""
    return Tokenizer.load(file)


def _read(folder: Path) -> tuple[SantaCoderConfig, Dialect]:
    path = folder / "config.json"
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{shown(folder)} holds an adapter of LoRA (adapter_config.json), not a whole model. Merge it into the "
            "model it was made for, with merge_and_unload and save_pretrained of peft, and load that."
        )
    if not path.exists():
        raise CheckpointError(f"{shown(path)} is missing, so {shown(folder)} is not a checkpoint.")
    document = read_object(path)
    try:
        return SantaCoderConfig.from_transformers(document), document["model_type"]
    except UserError as error:
        raise CheckpointError(f"{shown(path)} cannot be used: {error}") from error
