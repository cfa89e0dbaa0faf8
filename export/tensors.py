"""External data of an ONNX graph: tensors written one behind the other, so that none is held in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import onnx
from onnx import TensorProto, helper

# ONNX Runtime maps external data into memory where it begins at a page
_ALIGNMENT = 4096
# small tensors need not begin at a page of their own
_SMALL = 65_536


class TensorFile:
    """The file ``path``, written on the way; use it in a ``with`` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, name: str, value: np.ndarray) -> onnx.TensorProto:
        """Append ``value``; the initializer that refers to it."""
        if value.nbytes >= _SMALL:
            self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        offset = self._file.tell()
        self._file.write(np.ascontiguousarray(value).data)
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype), dims=value.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in (("location", self._path.name), ("offset", offset), ("length", value.nbytes)):
            tensor.external_data.add(key=key, value=str(entry))
        return tensor
