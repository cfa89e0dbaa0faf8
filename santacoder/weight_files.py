"""Tensors by name, from safetensors files or PyTorch pickles, one or many with an index."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from santacoder.errors import CheckpointError

SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
# transformers' names, in its order of preference
NAMES = (SAFETENSORS, f"{SAFETENSORS}.index.json", PICKLE, f"{PICKLE}.index.json")
# how much of a file may be read before it is mapped anew
_MAPPED_BYTES = 128 << 20


def are_complete(folder: Path) -> bool:
    """Whether a folder has files of weights, and each that an index names."""
    source = _source(folder)
    if source is None or source.suffix != ".json":
        return source is not None
    try:
        return bool(_read_index(source))
    except CheckpointError:
        return False


class WeightFiles:
    """The tensors of a checkpoint folder.

    Files are mapped into memory, where the pages that were read count as the process's own until the mapping ends.
    A pickle may hold nothing but tensors; no code in it is run.

    Raises:
        CheckpointError: no weights, or a damaged file; the message names it.
    """

    def __init__(self, folder: Path) -> None:
        source = _source(folder)
        if source is None:
            raise CheckpointError(f"{folder / SAFETENSORS} is missing, and so is every other file of weights.")
        self._source = source
        self._open: _MappedFile | None = None
        self._read_bytes = 0
        if self._source.suffix == ".json":
            self._files = _read_index(self._source)
        else:
            self._files = dict.fromkeys(_MappedFile.open(self._source).names, self._source)
        self.names = self._files.keys()

    def file_of(self, name: str) -> Path:
        """Where the tensor ``name`` is.

        Raises:
            CheckpointError: nowhere.
        """
        if name not in self._files:
            raise CheckpointError(f"{self._source} lacks the tensor {name}.")
        return self._files[name]

    def tensor(self, name: str) -> torch.Tensor:
        """A view of the file's own memory; copy what is to be kept.

        Raises:
            CheckpointError: the tensor is missing or its file is damaged.
        """
        path = self.file_of(name)
        if self._open is None or self._open.path != path or self._read_bytes >= _MAPPED_BYTES:
            self._open = None
            self._open = _MappedFile.open(path)
            self._read_bytes = 0
        if name not in self._open.names:
            raise CheckpointError(f"{path} lacks the tensor {name}, which {self._source.name} says it has.")
        try:
            tensor = self._open.read(name)
        except SafetensorError as error:
            raise _damaged(path, error) from error
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise CheckpointError(f"{path}: {name} is not a tensor of floating-point numbers.")
        self._read_bytes += tensor.nbytes
        return tensor


@dataclass(frozen=True)
class _MappedFile:
    path: Path
    names: Collection[str]
    read: Callable[[str], torch.Tensor]

    @classmethod
    def open(cls, path: Path) -> _MappedFile:
        try:
            if path.suffix == ".safetensors":
                file = safe_open(path, framework="pt", device="cpu")
                return cls(path, frozenset(file.keys()), file.get_tensor)
            tensors = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                f"{path} holds something other than tensors. It was not read, because a pickle can run any program; "
                "ask for its weights as safetensors."
            ) from error
        except (SafetensorError, RuntimeError, OSError, ValueError, EOFError) as error:
            raise _damaged(path, error) from error
        if not isinstance(tensors, dict):
            raise CheckpointError(f"{path} holds a {type(tensors).__name__} where tensors by name are expected.")
        return cls(path, tensors.keys(), tensors.__getitem__)


def _source(folder: Path) -> Path | None:
    """The file of weights, or the index of several."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _read_index(path: Path) -> dict[str, Path]:
    try:
        files = {name: path.with_name(file) for name, file in json.loads(path.read_text())["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not an index of weights ({error!r}).") from error
    for file in sorted(set(files.values())):
        if not file.is_file():
            raise CheckpointError(f"{path} names {file.name}, which is missing.")
    return files


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path} is damaged or cut short ({str(error).split(chr(10))[0]}); get or publish it again.")
