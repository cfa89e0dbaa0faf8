"""From a revision to a model and its tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from santacoder.checkpoints.revisions import resolve
from santacoder.checkpoints.store import DEFAULT_STORE
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError
from santacoder.model import SantaCoder
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
    folder = Path(repo_id_or_folder)
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
    try:
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    vocab_size = read_config(folder).vocab_size
    if tokenizer.vocab_size > vocab_size:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} has {tokenizer.vocab_size} tokens, more than the {vocab_size} of the model "
            "beside it."
        )
    return tokenizer


def _read(folder: Path) -> tuple[SantaCoderConfig, Dialect]:
    document = _read_document(folder / "config.json")
    try:
        return SantaCoderConfig.from_transformers(document), document["model_type"]
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be used: {error}") from error


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing, so {path.parent} is not a checkpoint.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} cannot be used: it holds no settings by name.")
    return document
