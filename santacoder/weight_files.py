"""Tensors by name, from safetensors files or PyTorch pickles, in one file or in several with an index."""

from __future__ import annotations

import filecmp
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from santacoder.checkpoint_files import read_object, shown
from santacoder.errors import CheckpointError

if TYPE_CHECKING:
    import torch

SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
# transformers' names, in its order of preference
NAMES = (SAFETENSORS, f"{SAFETENSORS}.index.json", PICKLE, f"{PICKLE}.index.json")
_SUFFIXES = (Path(SAFETENSORS).suffix, Path(PICKLE).suffix)
# how much of a file is read before it is mapped again
_MAPPED_BYTES = 128 << 20
# names of the wrappers that training adds: torch.compile, DataParallel and DDP, FSDP, activation checkpointing
_WRAPPERS = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# names in a model saved without its output layer, such as transformers' GPTBigCodeModel
_WITHOUT_PREFIX = re.compile(r"(h\.\d+|wte|wpe|ln_f)\.")
# what a pickle of a state dict contains. PyTorch accepts more, such as byte arrays of any length
_IN_PICKLES = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)"
    r"|torch (BFloat16|Half|Float|Double|Byte|Bool|Char|Short|Int|Long)Storage"
)
_MAX_PICKLE_BYTES = 4 << 20


def are_complete(folder: Path) -> bool:
    """Whether a folder has weights, including all files that an index names."""
    source = _source(folder)
    if source is None or source.suffix != ".json":
        return source is not None
    try:
        return bool(_read_index(source))
    except CheckpointError:
        return False


class WeightFiles:
    """The tensors of a checkpoint folder, by their names in a model without wrappers.

    Files are memory-mapped; pages that were read count as the process's memory until the mapping ends. Pickles may
    contain only tensors; no code in them is run.

    Raises:
        CheckpointError: there are no weights, or a file is damaged; the message names it.
    """

    def __init__(self, folder: Path) -> None:
        source = _source(folder)
        if source is None:
            raise CheckpointError(f"{shown(folder / SAFETENSORS)} is missing, and there are no other weights.")
        self._source = source
        self._open: _MappedFile | None = None
        self._read_bytes = 0
        if self._source.suffix == ".json":
            files = _read_index(self._source)
        else:
            files = dict.fromkeys(_MappedFile.open(self._source).names, self._source)
        self._files = _by_plain_name(self._source, files)
        self.names = self._files.keys()

    def file_of(self, name: str) -> Path:
        """The file that contains the tensor ``name``.

        Raises:
            CheckpointError: there is no such tensor.
        """
        if name not in self._files:
            raise CheckpointError(f"{shown(self._source)} lacks the tensor {name}.")
        return self._files[name][0]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it.

        Raises:
            CheckpointError: the tensor is missing or its file is damaged.
        """
        file, stored_name = self._file(name)
        try:
            return file.shape(stored_name)
        except SafetensorError as error:
            raise _damaged(file.path, error) from error

    def tensor(self, name: str) -> torch.Tensor:
        """A view of the mapped file; copy it to keep it.

        Raises:
            CheckpointError: the tensor is missing or its file is damaged.
        """
        import torch

        file, stored_name = self._file(name)
        try:
            tensor = file.read(stored_name)
        except SafetensorError as error:
            raise _damaged(file.path, error) from error
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise CheckpointError(f"{shown(file.path)}: {name} is not a tensor of floating-point numbers.")
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise CheckpointError(f"{shown(file.path)}: {name} repeats its numbers; save it with contiguous().")
        self._read_bytes += tensor.nbytes
        return tensor

    def _file(self, name: str) -> tuple[_MappedFile, str]:
        """The file with a tensor, mapped again after much of it was read, and the tensor's name in it."""
        path = self.file_of(name)
        stored_name = self._files[name][1]
        if self._open is None or self._open.path != path or self._read_bytes >= _MAPPED_BYTES:
            self._open = None
            self._open = _MappedFile.open(path)
            self._read_bytes = 0
        if stored_name not in self._open.names:
            raise CheckpointError(
                f"{shown(path)} lacks the tensor {stored_name}, which {self._source.name} lists in it."
            )
        return self._open, stored_name


@dataclass(frozen=True)
class _MappedFile:
    path: Path
    names: Collection[str]
    read: Callable[[str], torch.Tensor]
    shape: Callable[[str], tuple[int, ...]]

    @classmethod
    def open(cls, path: Path) -> _MappedFile:
        import torch

        try:
            if path.suffix == ".safetensors":
                file = safe_open(path, framework="pt", device="cpu")
                names = frozenset(file.keys())
                return cls(path, names, file.get_tensor, lambda name: tuple(file.get_slice(name).get_shape()))
            if not _holds_tensors_alone(path):
                raise _other_than_tensors(path)
            tensors = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise _other_than_tensors(path) from error
        except (SafetensorError, zipfile.BadZipFile, RuntimeError, OSError, ValueError, EOFError) as error:
            raise _damaged(path, error) from error
        if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
            raise CheckpointError(f"{shown(path)} does not hold tensors by name, as state_dict() gives them.")
        return cls(path, tensors.keys(), tensors.__getitem__, lambda name: tuple(tensors[name].shape))


def _holds_tensors_alone(path: Path) -> bool:
    """Whether a file of ``torch.save`` contains nothing but a state dict.

    Raises:
        BadZipFile, OSError, ValueError: it is damaged, or in the format before PyTorch 1.6, which cannot be mapped.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        # PyTorch ignores case in names, so it might read the other of two names that differ only in case
        names = [member.filename.lower() for member in members]
        if len(set(names)) < len(names) or any(member.compress_type != zipfile.ZIP_STORED for member in members):
            return False
        pickles = [member for member, name in zip(members, names, strict=True) if name.endswith(".pkl")]
        if any(member.file_size > _MAX_PICKLE_BYTES for member in pickles):
            return False
        return all(_IN_PICKLES.fullmatch(name) for member in pickles for name in _called(archive.read(member)))


def _called(content: bytes) -> Iterator[str]:
    """Yield what a pickle calls when it is loaded, as ``module name``, without distinguishing stack-based names."""
    for opcode, argument, _ in pickletools.genops(content):
        if "GLOBAL" in opcode.name or opcode.name == "INST":
            yield str(argument)


def _by_plain_name(source: Path, files: dict[str, Path]) -> dict[str, tuple[Path, str]]:
    """The file and stored name of each tensor, by its name in a model without wrappers.

    Raises:
        CheckpointError: two tensors would have the same name, or the tensors are updates to another model's.
    """
    plain: dict[str, tuple[Path, str]] = {}
    for stored_name, path in files.items():
        if ".lora_" in stored_name:
            raise CheckpointError(
                f"{shown(path)} contains LoRA updates ({stored_name}) besides the weights. Merge them, with "
                "merge_and_unload and save_pretrained of peft, and load the result."
            )
        name = ".".join(part for part in stored_name.split(".") if part not in _WRAPPERS)
        if _WITHOUT_PREFIX.match(name):
            name = f"transformer.{name}"
        if name in plain:
            raise CheckpointError(
                f"{shown(source)} has both {stored_name} and {plain[name][1]}, which are the same tensor of the model."
            )
        plain[name] = path, stored_name
    return plain


def _source(folder: Path) -> Path | None:
    """The weights file, or the index of several."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def are_equal(one: Path, other: Path) -> bool:
    """Whether the snapshots ``one`` and ``other`` have the same weights, in the same files."""
    names = [{path.name for path in folder.iterdir() if path.suffix in _SUFFIXES} for folder in (one, other)]
    indexes = [name for name in NAMES if name.endswith(".json") and (one / name).exists()]
    return names[0] == names[1] and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in (*names[0], *indexes)
    )


def _read_index(path: Path) -> dict[str, Path]:
    try:
        files = {name: path.with_name(file) for name, file in read_object(path)["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{shown(path)} is not an index of weights ({error!r}).") from error
    for file in sorted(set(files.values())):
        if not file.is_file():
            raise CheckpointError(f"{shown(path)} names {file.name}, which is missing.")
    return files


def _other_than_tensors(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{shown(path)} contains something other than tensors. It was not read, because a pickle can run arbitrary "
        "code; get its weights as safetensors."
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{shown(path)} is damaged or truncated ({str(error).split(chr(10))[0]}); get or publish it again."
    )
