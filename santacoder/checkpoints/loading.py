"""Loading the model and tokenizer of a revision."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from santacoder.checkpoint_files import read_object, shown
from santacoder.checkpoints.revisions import resolve
from santacoder.checkpoints.store import DEFAULT_STORE
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError, UserError
from santacoder.paths import user_path
from santacoder.tokenizer import Tokenizer

if TYPE_CHECKING:  # PyTorch is loaded for weights alone, which a graph does without
    import torch

    from santacoder.model import SantaCoder
    from santacoder.weights import Dialect, StoredModel


def load(
    repo_id_or_folder: str | Path,
    revision: str = "main",
    *,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    store: Path = DEFAULT_STORE,
    report: Callable[[float], None] = lambda share: None,
) -> tuple[SantaCoder, Tokenizer]:
    """Load a model, in evaluation mode, and its tokenizer.

    Args:
        repo_id_or_folder: name of a repository, or a folder with the files of a snapshot.
        revision: branch or commit, if a repository is named.
        dtype: type of the weights in memory; by default, single precision.
        device: where the weights are loaded.
        store: folder of published models.
        report: called with the fraction of the weights that has been read, from 0 to 1.

    Raises:
        CheckpointError: the model does not exist, or a file is damaged; the message names the file and the problem.
    """
    import torch

    from santacoder.weights import load_model

    folder = user_path(repo_id_or_folder)
    if not repo_id_or_folder or not folder.is_dir():
        folder = resolve(str(repo_id_or_folder), revision, store=store)
    config, model_type = _read(folder)
    tokenizer = read_tokenizer(folder)
    return load_model(
        folder, config, model_type, dtype or torch.float32, torch.device(device), report
    ).eval(), tokenizer


def open_stored(folder: Path) -> StoredModel:
    """The parameters in a folder with the files of a snapshot, to be read one at a time.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    from santacoder.weights import StoredModel

    return StoredModel(folder, *_read(folder))


def read_config(folder: Path) -> SantaCoderConfig:
    """Read the shape of the model in a folder with the files of a snapshot.

    Raises:
        CheckpointError: ``config.json`` is missing, or describes another architecture.
    """
    return _read(folder)[0]


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read the tokenizer in a folder with the files of a snapshot.

    Raises:
        CheckpointError: it is missing, damaged, or has more tokens than the model in the folder.
    """
    file = folder / "tokenizer.json"
    if not file.exists():
        raise CheckpointError(
            f"{shown(folder)} has no tokenizer.json. Copy it from the original model, or write it with "
            "transformers: AutoTokenizer.from_pretrained(THAT MODEL).save_pretrained(THIS FOLDER)."
        )
    try:
        tokenizer = _tokenizer(file, file.stat().st_mtime_ns)
    except UserError as error:
        raise CheckpointError(str(error)) from error
    vocab_size = read_config(folder).vocab_size
    if tokenizer.vocab_size > vocab_size:
        raise CheckpointError(
            f"{shown(folder / 'tokenizer.json')} has {tokenizer.vocab_size} tokens, more than the {vocab_size} of the "
            "model in this folder."
        )
    return tokenizer


@lru_cache(maxsize=8)
def _tokenizer(file: Path, _modified_ns: int) -> Tokenizer:
    """Load a tokenizer, cached because it takes a second in which no other thread runs (AMD EPYC Zen 3)."""
    return Tokenizer.load(file)


def _read(folder: Path) -> tuple[SantaCoderConfig, Dialect]:
    path = folder / "config.json"
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{shown(folder)} contains a LoRA adapter (adapter_config.json), not a whole model. Name it with the "
            "model it was made for, as MODEL@REVISION+FOLDER; or merge it, with merge_and_unload and save_pretrained "
            "of peft, and load the result."
        )
    if not path.exists():
        raise CheckpointError(f"{shown(path)} is missing, so {shown(folder)} is not a checkpoint.")
    document = read_object(path)
    try:
        return SantaCoderConfig.from_transformers(document), document["model_type"]
    except UserError as error:
        raise CheckpointError(f"{shown(path)} cannot be used: {error}") from error
