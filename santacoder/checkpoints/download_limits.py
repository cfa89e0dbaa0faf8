"""Size limits for the files of a repository, checked before they are downloaded."""

from __future__ import annotations

from collections.abc import Mapping

from santacoder.adapters import WEIGHTS_FILE
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError

_MIB = 1024 * 1024
MAX_TOKENIZER_BYTES = 64 * _MIB
MAX_DESCRIPTION_BYTES = 4 * _MIB
MAX_ADAPTER_BYTES = 2048 * _MIB
_GRAPHS = 8
"""Maximum number of graphs per revision: one of each precision, none larger than the weights in single precision."""


def require_small_descriptions(repo_id: str, sizes: Mapping[str, int]) -> None:
    """Check the sizes of the files that describe a model; ``sizes`` are bytes by file name.

    Raises:
        CheckpointError: one is larger than the limit.
    """
    for name, size in sizes.items():
        most = MAX_TOKENIZER_BYTES if name == "tokenizer.json" else MAX_DESCRIPTION_BYTES
        if size > most:
            raise CheckpointError(
                f"{name} of {repo_id} has {size / _MIB:,.0f} MiB, more than the limit of {most // _MIB} MiB."
            )


def require_small_adapter(repo_id: str, size: int) -> None:
    """Check the size of an adapter's weights.

    Raises:
        CheckpointError: it is larger than a model.
    """
    if size > MAX_ADAPTER_BYTES:
        raise CheckpointError(
            f"{WEIGHTS_FILE} of {repo_id} has {size / _MIB:,.0f} MiB, "
            f"more than the limit of {MAX_ADAPTER_BYTES // _MIB:,} MiB."
        )


def require_fitting_weights(repo_id: str, config: SantaCoderConfig, sizes: Mapping[str, int]) -> None:
    """Check the sizes of weights, and of graphs in the folder ``onnx``; ``sizes`` are bytes by file name.

    Raises:
        CheckpointError: they are larger than a model of this shape can be.
    """
    # in single precision, including a mask per layer as in older files, and space for names and headers
    most = 4 * (config.n_parameters + config.n_layer * config.n_positions**2) + 64 * _MIB
    graphs = sum(size for name, size in sizes.items() if name.startswith("onnx/"))
    for kind, size, limit in (("weights", sum(sizes.values()) - graphs, most), ("graphs", graphs, _GRAPHS * most)):
        if size > limit:
            raise CheckpointError(
                f"The {kind} of {repo_id} have {size / 1e9:,.1f} GB; a model with its config.json has at most "
                f"{limit / 1e9:,.1f} GB."
            )
