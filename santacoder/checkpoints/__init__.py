"""Published models: resolve, load, list and publish revisions.

A model is searched for in the store, then in the user's Hugging Face cache, then on the Hub unless ``HF_HUB_OFFLINE``
is set. A revision is a branch, a commit or a prefix of one; ``main`` and ``final`` name the same branch.
"""

from santacoder.checkpoints.loading import load, open_stored, read_config, read_tokenizer
from santacoder.checkpoints.publishing import add_files, publish
from santacoder.checkpoints.revisions import branches, folder_with, is_here, log, resolve
from santacoder.checkpoints.store import (
    CURVES_FILE,
    DEFAULT_STORE,
    EVAL_FILE,
    GENERATION_FILE,
    Commit,
    RevisionScore,
    has_repository,
    read_curves,
    read_fim_order,
    read_scores,
    repositories,
)
from santacoder.errors import CheckpointError

__all__ = [
    "CURVES_FILE",
    "DEFAULT_STORE",
    "EVAL_FILE",
    "GENERATION_FILE",
    "CheckpointError",
    "Commit",
    "RevisionScore",
    "add_files",
    "branches",
    "folder_with",
    "has_repository",
    "is_here",
    "load",
    "log",
    "open_stored",
    "publish",
    "read_config",
    "read_curves",
    "read_fim_order",
    "read_scores",
    "read_tokenizer",
    "repositories",
    "resolve",
]
