"""How large the files of a repository may be, told from their sizes before they are fetched."""

from __future__ import annotations

from collections.abc import Mapping

from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError

_MIB = 1024 * 1024
MAX_TOKENIZER_BYTES = 64 * _MIB
MAX_DESCRIPTION_BYTES = 4 * _MIB
_GRAPHS = 8
"""Graphs of a revision: one of each precision, none of which is larger than the weights in single precision."""


def require_small_descriptions(repo_id: str, sizes: Mapping[str, int]) -> None:
    """``sizes`` are bytes by the names of those files that describe a model.

    Raises:
        CheckpointError: one is larger than any such file needs to be.
    """
    for name, size in sizes.items():
        most = MAX_TOKENIZER_BYTES if name == "tokenizer.json" else MAX_DESCRIPTION_BYTES
        if size > most:
            raise CheckpointError(
                f"{name} of {repo_id} has {size / _MIB:,.0f} MiB, more than the {most // _MIB} MiB that are read."
            )


def require_fitting_weights(repo_id: str, config: SantaCoderConfig, sizes: Mapping[str, int]) -> None:
    """``sizes`` are bytes by the names of the files with weights, and of graphs in the folder ``onnx``.

    Raises:
        CheckpointError: they are larger than a model of this shape can be.
    """
    # in single precision, each layer with a mask in it as older files have them, and with room for names and headers
    most = 4 * (n_parameters(config) + config.n_layer * config.n_positions**2) + 64 * _MIB
    graphs = sum(size for name, size in sizes.items() if name.startswith("onnx/"))
    for kind, size, limit in (("weights", sum(sizes.values()) - graphs, most), ("graphs", graphs, _GRAPHS * most)):
        if size > limit:
            raise CheckpointError(
                f"The {kind} of {repo_id} have {size / 1e9:,.1f} GB; a model of its config.json has no more than "
                f"{limit / 1e9:,.1f} GB."
            )


def n_parameters(config: SantaCoderConfig) -> int:
    """Without making a model, whose shape may be beyond any memory."""
    width, inner = config.n_embd, config.inner_dim
    projected = width + 2 * config.n_kv_head * config.head_dim
    attention = width * projected + projected + width * width + width
    mlp = width * inner + inner + inner * width + width
    embeddings = (config.vocab_size + config.n_positions) * width
    head = 0 if config.tie_word_embeddings else config.vocab_size * width
    return config.n_layer * (attention + mlp + 4 * width) + 2 * width + embeddings + head
