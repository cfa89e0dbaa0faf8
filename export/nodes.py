"""A graph under construction: its nodes in the order of computation, and its constants."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from export.tensors import TensorFile

MICROSOFT = "com.microsoft"
_OPSETS = {"": 21, MICROSOFT: 1}


class Nodes:
    """Adds nodes and returns the names of their outputs, to use as inputs of other nodes. Weights go to ``tensors``."""

    def __init__(self, tensors: TensorFile) -> None:
        self._tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants: set[str] = set()

    def add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        """Add a node with a single output, which gives the node its name."""
        self.add_with_outputs(operator, inputs, [output], output, domain, **attributes)
        return output

    def add_with_outputs(
        self, operator: str, inputs: list[str], outputs: list[str], name: str, domain: str = "", **attributes: object
    ) -> None:
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, domain=domain or None, **attributes))

    def tensor(self, name: str, value: np.ndarray) -> str:
        """Add a weight tensor, which is stored outside the graph."""
        self.initializers.append(self._tensors.add(name, value))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a small value inside the graph, once for each name."""
        if name not in self._constants:
            self._constants.add(name)
            self.initializers.append(onnx.numpy_helper.from_array(value, name))
        return name

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The finished model, with a digest of the weights stored outside."""
        graph = helper.make_graph(self.nodes, "santacoder", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="santacoder")
        helper.set_model_props(model, {"data_sha256": self._tensors.sha256})
        return model
