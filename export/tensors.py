"""External data of an ONNX graph: tensors are written one after another, so that none is kept in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType

import numpy as np
import onnx
from onnx import TensorProto, helper

# ONNX Runtime can map external data into memory if it begins at a page boundary
_ALIGNMENT = 4096
# small tensors need not begin at a page boundary
_SMALL = 65_536


class TensorFile:
    """The data file ``path``, open for writing; use it in a ``with`` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        # offset of each content: an output layer is often identical to the embedding
        self._offsets: dict[bytes, int] = {}

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, name: str, value: np.ndarray) -> onnx.TensorProto:
        """Append ``value``, unless the same content was written before, and return the initializer that refers to
        it.
        """
        content = np.ascontiguousarray(value).view(np.uint8).data
        key = hashlib.sha256(content).digest()
        if key not in self._offsets:
            if value.nbytes >= _SMALL:
                self._write(b"\0" * (-self._file.tell() % _ALIGNMENT))
            self._offsets[key] = self._file.tell()
            self._write(content)
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype), dims=value.shape)
        tensor.data_location = TensorProto.EXTERNAL
        places = {"location": self._path.name, "offset": self._offsets[key], "length": value.nbytes}
        for entry, place in places.items():
            tensor.external_data.add(key=entry, value=str(place))
        return tensor

    @property
    def sha256(self) -> str:
        """The hash of everything written so far."""
        return self._digest.hexdigest()

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._digest.update(content)
