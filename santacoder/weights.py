"""Loading weights in either format: those of GPTBigCode and of GPT2LMHeadCustomModel, tensor by tensor.

GPTBigCode has this project's names and layouts. ``bigcode/santacoder`` uses GPT-2's ``Conv1D``, which stores a matrix
as (in, out). For multi-query attention it separates queries from key and value. For multi-head attention it has ``query
| key | value`` of all heads, whereas GPTBigCode has the three of each head together.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from santacoder.adapters import ADAPTER_FOLDER, CONFIG_FILE, Adapter
from santacoder.checkpoint_files import shown
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError
from santacoder.model import SantaCoder
from santacoder.weight_files import WeightFiles

Dialect = Literal["gpt_bigcode", "gpt2"]
OUTPUT_WEIGHT = "lm_head.weight"
_EMBEDDING = "transformer.wte.weight"
# causal masks, which older versions of transformers stored with the weights
_MASKS = (".attn.bias", ".attn.masked_bias")


def load_model(
    folder: Path,
    config: SantaCoderConfig,
    dialect: Dialect,
    dtype: torch.dtype,
    device: torch.device,
    report: Callable[[float], None],
) -> SantaCoder:
    """Load a model in ``dtype`` on ``device`` from the weights in ``folder``, with a peak memory close to its size.

    An output layer that differs from the embedding is kept, whatever ``config`` says. ``report`` is called after each
    tensor with the fraction of tensors that have been read.

    Raises:
        CheckpointError: a tensor is missing, unexpected, has the wrong shape or is not finite, or a file is damaged;
            the message names the file and the first such tensor.
    """
    stored = StoredModel(folder, config, dialect)
    with torch.device("meta"):
        model = SantaCoder(stored.config)
    # largest first: the mapped original and its copy matter least while little else is loaded
    names = sorted(stored.shapes, key=lambda name: name.startswith("transformer.h."))
    weights = _allocate(stored.shapes, names, dtype, device)
    for number, name in enumerate(names, start=1):
        stored.read_into(name, weights[name])
        report(number / len(names))
    model.load_state_dict(weights, assign=True)
    return model.requires_grad_(False)


class StoredModel:
    """The parameters in ``folder``, by this project's names and in its layout; each is read when it is asked for.

    ``config`` has a separate output layer if the files have one that differs from the embedding, or if an adapter
    changes one of the two; it is merged from the folder ``adapter``. ``shapes`` are parameters without memory.

    Raises:
        CheckpointError: a tensor is missing, unexpected or has the wrong shape, or a file is damaged.
    """

    def __init__(self, folder: Path, config: SantaCoderConfig, dialect: Dialect) -> None:
        self._files = WeightFiles(folder)
        self._dialect = dialect
        if OUTPUT_WEIGHT in self._files.names:
            config = replace(config, tie_word_embeddings=_output_is_embedding(self._files))
        self._is_tied = config.tie_word_embeddings  # before an adapter unties it
        adapted = folder / ADAPTER_FOLDER
        self._adapter = Adapter(adapted) if (adapted / CONFIG_FILE).is_file() else None
        if self._adapter and self._adapter.names & {OUTPUT_WEIGHT, _EMBEDDING}:
            config = replace(config, tie_word_embeddings=False)
        self.config = config
        with torch.device("meta"):
            self.shapes: dict[str, torch.Tensor] = SantaCoder(config).state_dict()
        sources = [self._sources(name, shape) for name, shape in self.shapes.items()]
        _check(self._files, {key: view for of_one in sources for key, view in of_one.items()})
        if self._adapter:
            self._check_adapter(self._adapter)

    def read(self, name: str) -> torch.Tensor:
        """A parameter in single precision.

        Raises:
            CheckpointError: a value is not finite, or the file is damaged.
        """
        parameter = torch.empty(self.shapes[name].shape)
        self.read_into(name, parameter)
        return parameter

    def read_into(self, name: str, parameter: torch.Tensor) -> None:
        """Copy a parameter into ``parameter``.

        Raises:
            CheckpointError: a value is not finite, or the file is damaged.
        """
        for source, place in self._sources(name, parameter).items():
            _copy(self._files, source, place)
        if self._adapter:
            self._merge(self._adapter, name, parameter)

    def _sources(self, name: str, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        if name == OUTPUT_WEIGHT and self._is_tied and name not in self._files.names:
            return {_EMBEDDING: parameter}
        return _sources(name, parameter, self.config, self._dialect)

    def _merge(self, adapter: Adapter, name: str, parameter: torch.Tensor) -> None:
        """Change a parameter. Its parts have the names and layouts of the adapter's format, whatever the base's is."""
        dialect = _dialect_of(adapter)
        for source, place in _sources(name, parameter, self.config, dialect).items():
            adapter.apply(source, place, is_transposed=dialect == "gpt2" and _is_conv1d(name))

    def _check_adapter(self, adapter: Adapter) -> None:
        dialect = _dialect_of(adapter)
        known = {key for name, shape in self.shapes.items() for key in _sources(name, shape, self.config, dialect)}
        if unknown := sorted(adapter.names - known):
            raise CheckpointError(
                f"The adapter is for another model: it changes {unknown[0]}, which the base model does not have."
            )


def _dialect_of(adapter: Adapter) -> Dialect:
    return "gpt2" if adapter.is_for_conv1d else "gpt_bigcode"


def _allocate(
    shapes: dict[str, torch.Tensor], names: list[str], dtype: torch.dtype, device: torch.device
) -> dict[str, torch.Tensor]:
    try:
        if device.type == "cpu":
            return {name: _empty_in_huge_pages(shapes[name].shape, dtype) for name in names}
        return {name: torch.empty_like(shapes[name], dtype=dtype, device=device) for name in names}
    except torch.OutOfMemoryError:  # of a GPU: the CPU may have room
        raise
    except (RuntimeError, OSError) as error:  # raised by PyTorch or by the system
        size = sum(shape.numel() for shape in shapes.values()) * dtype.itemsize
        raise CheckpointError(
            f"A model of the shape in config.json needs {size / 1e9:,.1f} GB, more than is available on {device}."
        ) from error


def _empty_in_huge_pages(shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    """Like ``torch.empty``, but with huge pages: allocating pages of normal size took most of the loading time."""
    memory = mmap.mmap(-1, shape.numel() * dtype.itemsize)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def _sources(name: str, parameter: torch.Tensor, config: SantaCoderConfig, dialect: Dialect) -> dict[str, torch.Tensor]:
    """The stored tensors of a parameter, each with its destination: a view of the parameter in the stored order.

    A view with more than two dimensions represents a tensor whose last dimension is the product of the view's last
    three.
    """
    if dialect == "gpt_bigcode" or not _is_conv1d(name):
        return {name: parameter}
    conv1d = parameter.t()  # a bias is its own transpose
    if ".c_attn." not in name:
        return {name: conv1d}
    if config.multi_query:
        query, key_value = conv1d.split([config.n_embd, 2 * config.head_dim], dim=-1)
        return {name.replace("c_attn", "q_attn"): query, name.replace("c_attn", "kv_attn"): key_value}
    heads = conv1d.unflatten(-1, (config.n_head, 3, config.head_dim))
    return {name: heads.transpose(-3, -2)}


def _is_conv1d(name: str) -> bool:
    """Whether a parameter is stored as (in, out) in the original format."""
    return ".attn." in name or ".mlp." in name


def _copy(files: WeightFiles, source: str, place: torch.Tensor) -> None:
    """Copy a stored tensor to ``place`` and check that its values are finite."""
    stored = files.tensor(source).to(place.dtype)  # PyTorch transposes in blocks only between tensors of the same type
    # one pass over contiguous memory, without a temporary; NaN propagates to both results
    lowest, highest = (extreme.item() for extreme in torch.aminmax(stored))
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise CheckpointError(
            f"{shown(files.file_of(source))}: {source} has values that are not finite in "
            f"{str(place.dtype).removeprefix('torch.')}."
        )
    if place.dim() == 2 and not place.is_contiguous():
        # fresh memory is allocated fastest in order, which a transposed copy is not
        place.t().zero_().copy_(stored.t())
    else:
        place.copy_(stored.reshape(place.shape))


def _output_is_embedding(files: WeightFiles) -> bool:
    return torch.equal(files.tensor(OUTPUT_WEIGHT), files.tensor(_EMBEDDING))


def _check(files: WeightFiles, expected: dict[str, torch.Tensor]) -> None:
    """Check that the files have the tensors and shapes of ``expected``, before memory is allocated.

    What is allocated is then bounded by the size of the files, whatever ``config.json`` says.

    Raises:
        CheckpointError: a tensor is missing, unexpected or has the wrong shape.
    """
    for name in sorted(expected):
        files.file_of(name)
    for name in sorted(files.names - expected.keys() - {OUTPUT_WEIGHT}):
        if not name.endswith(_MASKS):
            raise CheckpointError(
                f"{shown(files.file_of(name))} has the tensor {name}, which a model with this config.json "
                "does not have."
            )
    for name in sorted(expected, key=lambda name: (files.file_of(name), name)):
        view = expected[name]
        shape = tuple(view.shape) if view.dim() <= 2 else (*view.shape[:-3], view.shape[-3:].numel())
        stored = files.shape(name)
        if stored != shape:
            place = shown(files.file_of(name))
            raise CheckpointError(f"{place}: {name} has shape {list(stored)}, but config.json requires {list(shape)}.")
