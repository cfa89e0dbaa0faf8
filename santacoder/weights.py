"""Two dialects in, one model: the weights of GPTBigCode and of GPT2LMHeadCustomModel, tensor by tensor.

GPTBigCode has our own names and layouts. ``bigcode/santacoder`` follows GPT-2's ``Conv1D``, which stores a matrix as
(in, out); it keeps queries apart from key and value when multi-query, and has ``query | key | value`` of all heads when
multi-head, where GPTBigCode has the three of each head together.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError
from santacoder.model import SantaCoder
from santacoder.weight_files import WeightFiles

Dialect = Literal["gpt_bigcode", "gpt2"]
OUTPUT_WEIGHT = "lm_head.weight"
# causal masks, which older versions of transformers stored with the weights
_MASKS = (".attn.bias", ".attn.masked_bias")


def load_model(
    folder: Path, config: SantaCoderConfig, dialect: Dialect, dtype: torch.dtype, device: torch.device
) -> SantaCoder:
    """A model in ``dtype`` on ``device`` from the weights in ``folder``, with peak memory near its own size.

    An output layer that differs from the embedding is kept, whatever ``config`` says of it.

    Raises:
        CheckpointError: a tensor is missing, left over, misshapen or not finite, or a file is damaged; the message
            names the file and the first tensor that is wrong.
    """
    files = WeightFiles(folder)
    if OUTPUT_WEIGHT in files.names:
        config = replace(config, tie_word_embeddings=_output_is_embedding(files))
    with torch.device("meta"):
        model = SantaCoder(config)
    layout = _Layout(model, dialect)
    # the largest first: a mapped original and its copy weigh least while the rest is still to come
    names = sorted(model.state_dict(), key=lambda name: name.startswith("transformer.h."))
    _check_names(files, {source for name in names for source in layout.sources(name)})
    weights = {}
    for name in names:
        parts = [_copy(files, source, shape, dtype, device) for source, shape in layout.sources(name).items()]
        weights[name] = layout.join(name, parts)
    model.load_state_dict(weights, assign=True)
    return model.requires_grad_(False)


class _Layout:
    """Where the parameters of a model are in the files of a dialect."""

    def __init__(self, model: SantaCoder, dialect: Dialect) -> None:
        self._shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
        self._config = model.config
        self._conv1d = dialect == "gpt2"

    def sources(self, name: str) -> dict[str, list[int]]:
        """Names and shapes of the stored tensors that make up the parameter ``name``."""
        shape = self._shapes[name]
        if not self._is_conv1d(name):
            return {name: shape}
        if ".attn.c_attn." in name and self._config.multi_query:
            rows = {"q_attn": self._config.n_embd, "kv_attn": 2 * self._config.head_dim}
            return {name.replace("c_attn", stored): [*shape[1:], n_rows] for stored, n_rows in rows.items()}
        return {name: shape[::-1]}

    def join(self, name: str, parts: list[torch.Tensor]) -> torch.Tensor:
        """The parameter ``name`` from the tensors that ``sources`` lists."""
        if not self._is_conv1d(name):
            return parts[0]
        rows = torch.cat([part.t() for part in parts])
        if ".attn.c_attn." in name and not self._config.multi_query:
            heads = rows.view(3, self._config.n_head, self._config.head_dim, *rows.shape[1:])
            rows = heads.transpose(0, 1).reshape(rows.shape)
        return rows.contiguous()

    def _is_conv1d(self, name: str) -> bool:
        return self._conv1d and (".attn." in name or ".mlp." in name)


def _copy(files: WeightFiles, name: str, shape: list[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A copy of a stored tensor, after checking its shape and its values."""
    stored = files.tensor(name)
    if list(stored.shape) != shape:
        raise CheckpointError(
            f"{files.file_of(name)}: {name} has shape {list(stored.shape)}, but config.json asks for {shape}."
        )
    copied = stored.to(device=device, dtype=dtype, copy=True)
    # one pass over the copy, without a temporary; NaN wins over every number in both results
    lowest, highest = (extreme.item() for extreme in torch.aminmax(copied))
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise CheckpointError(
            f"{files.file_of(name)}: {name} has values that are not finite in {str(dtype).removeprefix('torch.')}."
        )
    return copied


def _output_is_embedding(files: WeightFiles) -> bool:
    return torch.equal(files.tensor(OUTPUT_WEIGHT), files.tensor("transformer.wte.weight"))


def _check_names(files: WeightFiles, expected: set[str]) -> None:
    for name in sorted(expected):
        files.file_of(name)
    for name in sorted(files.names - expected - {OUTPUT_WEIGHT}):
        if not name.endswith(_MASKS):
            raise CheckpointError(
                f"{files.file_of(name)} has the tensor {name}, which a model of the shape in config.json has not."
            )
