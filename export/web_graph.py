"""The model as an ONNX graph for WebAssembly, where other operators are fast than in native builds of ONNX Runtime.

A step takes new tokens of one sequence with the keys and values of all tokens before them, and returns the requested
logits with the new tokens' keys and values:

============  ===================================================  ================================================
input_ids     [S] int64                                            the new tokens
logits_index  [N] int64                                            which of the S positions need logits
past          [P, n_layer * 2 * n_kv_head * head_dim] float32      keys and values of the tokens before
logits        [N, vocab_size] float32
new           [S, n_layer * 2 * n_kv_head * head_dim] float32      keys and values of the new tokens
============  ===================================================  ================================================

Every input and output is copied into and out of WebAssembly's memory, so keys and values come in one tensor, of exactly
the length in use, and only the new ones go out. Attention is a few plain products: ``GroupQueryAttention`` takes four
fifths of the time of a prompt there. Weights are stored in 8 bits and unpacked when the graph is opened, because the
kernels for packed matrices are four times slower than those for floats.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.linear import table_rows, unpacked_matrix
from export.nodes import MICROSOFT, Nodes
from export.precisions import PRECISIONS, block_size
from export.tensors import TensorFile
from export.weights import Weights, ungroup
from santacoder.config import SantaCoderConfig


class WebGraph:
    """A graph under construction. ``_stream`` is the name of the residual stream, [S, n_embd]."""

    def __init__(self, config: SantaCoderConfig, weights: Weights, tensors: TensorFile) -> None:
        self._config = config
        self._weights = weights
        self._nodes = Nodes(tensors)
        self._new: list[str] = []  # the new keys and values of each layer
        self._past = self._split_past()
        self._positions, self._mask = self._places()
        tokens = self._rows("transformer.wte", "input_ids")
        self._stream = self._nodes.add("Add", [tokens, self._rows("transformer.wpe", self._positions)], "embeddings")

    def add_layer(self, layer: int) -> None:
        add, prefix = self._nodes.add, f"transformer.h.{layer}"
        attended = self._attention(layer, self._normalized(f"{prefix}.ln_1"))
        if layer == self._config.n_layer - 1:  # after the last keys and values, no other positions are needed
            attended = add("Gather", [attended, "logits_index"], "wanted.attended", axis=0)
            self._stream = add("Gather", [self._stream, "logits_index"], "wanted.stream", axis=0)
        self._add_to_stream(self._linear(f"{prefix}.attn.c_proj", attended), f"{prefix}.attn.sum")
        inner, name = self._normalized(f"{prefix}.ln_2"), f"{prefix}.mlp.c_fc"
        product = add("MatMul", [inner, self._matrix(name)], f"{name}.product")
        operator = "FastGelu" if self._config.gelu_approximate == "tanh" else "BiasGelu"
        gelu = add(operator, [product, self._floats(f"{name}.bias")], f"{name}.gelu", domain=MICROSOFT)
        self._add_to_stream(self._linear(f"{prefix}.mlp.c_proj", gelu), f"{prefix}.mlp.sum")

    def add_head(self) -> None:
        name = "transformer.wte" if self._config.tie_word_embeddings else "lm_head"
        self._nodes.add("MatMul", [self._normalized("transformer.ln_f"), self._matrix(name)], "logits")
        self._nodes.add("Concat", self._new, "new", axis=1)

    def model(self) -> onnx.ModelProto:
        config = self._config
        width = 2 * config.n_layer * config.n_kv_head * config.head_dim
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["length"]),
            helper.make_tensor_value_info("logits_index", TensorProto.INT64, ["n_logits"]),
            helper.make_tensor_value_info("past", TensorProto.FLOAT, ["past_length", width]),
        ]
        outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n_logits", config.vocab_size]),
            helper.make_tensor_value_info("new", TensorProto.FLOAT, ["length", width]),
        ]
        return self._nodes.model(inputs, outputs)

    def _split_past(self) -> list[tuple[str, str]]:
        """The names of each layer's past keys and values, [P, n_kv_head * head_dim]."""
        names = [(f"past.{layer}.keys", f"past.{layer}.values") for layer in range(self._config.n_layer)]
        flat = [name for pair in names for name in pair]
        self._nodes.add_with_outputs("Split", ["past"], flat, "past.split", axis=1, num_outputs=len(flat))
        return names

    def _places(self) -> tuple[str, str]:
        """The new tokens' positions [S], and the mask that hides later tokens from them: 0 or minus infinity, for each
        of the rows of :meth:`_multi_query` or, with multi-head attention, for each position, [rows, P + S].
        """
        add, constant = self._nodes.add, self._nodes.constant
        zero, one = (constant(name, np.array(value, dtype=np.int64)) for name, value in (("zero", 0), ("one", 1)))
        axis = constant("first_axis", np.array([0], dtype=np.int64))
        n_past, n_new = (
            add("Squeeze", [add("Shape", [name], f"{name}.shape", start=0, end=1), axis], f"{name}.length")
            for name in ("past", "input_ids")
        )
        end = add("Add", [n_past, n_new], "end")
        positions = add("Range", [n_past, end, one], "positions")
        n_rows = self._config.n_head if self._config.multi_query else 1
        column = add("Unsqueeze", [positions, constant("last_axes", np.array([1, 2], dtype=np.int64))], "column")
        columns = add("Expand", [column, constant("rows", np.array([1, n_rows, 1], dtype=np.int64))], "columns")
        is_later = add("Greater", [add("Range", [zero, end, one], "all_positions"), columns], "is_later")
        hidden, seen = (
            constant(name, np.array(value, dtype=np.float32)) for name, value in (("hidden", -np.inf), ("seen", 0))
        )
        return positions, add("Flatten", [add("Where", [is_later, hidden, seen], "hiding")], "mask", axis=2)

    def _attention(self, layer: int, source: str) -> str:
        """Attention over past and new tokens, [S, n_embd]."""
        config, add, name = self._config, self._nodes.add, f"transformer.h.{layer}.attn"
        widths = np.array([config.n_embd, *[config.n_kv_head * config.head_dim] * 2], dtype=np.int64)
        queries, *new = (f"{name}.{kind}" for kind in ("queries", "new_keys", "new_values"))
        together = [self._linear(f"{name}.c_attn", source), self._nodes.constant("widths", widths)]
        self._nodes.add_with_outputs("Split", together, [queries, *new], f"{name}.split", axis=1)
        self._new += new
        keys, values = (
            add("Concat", [past, of_new], f"{name}.{kind}", axis=0)
            for past, of_new, kind in zip(self._past[layer], new, ("keys", "values"), strict=True)
        )
        attend = self._multi_query if config.multi_query else self._multi_head
        return attend(name, queries, keys, values)

    def _multi_query(self, name: str, queries: str, keys: str, values: str) -> str:
        """All heads share keys and values, so the queries of all heads are rows of one product."""
        rows = self._shaped(queries, f"{name}.rows", -1, self._config.head_dim)
        attended = self._nodes.add("MatMul", [self._weights_of(name, rows, keys), values], f"{name}.attended")
        return self._shaped(attended, f"{name}.output", -1, self._config.n_embd)

    def _multi_head(self, name: str, queries: str, keys: str, values: str) -> str:
        by_head = []
        for each in (queries, keys, values):
            split = self._shaped(each, f"{each}.split", -1, self._config.n_head, self._config.head_dim)
            by_head.append(self._nodes.add("Transpose", [split], f"{each}.by_head", perm=[1, 0, 2]))
        weights = self._weights_of(name, by_head[0], by_head[1])
        attended = self._nodes.add("MatMul", [weights, by_head[2]], f"{name}.attended")
        rows = self._nodes.add("Transpose", [attended], f"{name}.rows", perm=[1, 0, 2])
        return self._shaped(rows, f"{name}.output", -1, self._config.n_embd)

    def _weights_of(self, name: str, queries: str, keys: str) -> str:
        """The attention weights of each query, [..., rows, P + S]."""
        add, scale = self._nodes.add, 1 / math.sqrt(self._config.head_dim)
        scores = add("FusedMatMul", [queries, keys], f"{name}.scores", domain=MICROSOFT, transB=1, alpha=scale)
        return add("Softmax", [add("Add", [scores, self._mask], f"{name}.masked")], f"{name}.weights", axis=-1)

    def _shaped(self, source: str, name: str, *shape: int) -> str:
        constant = self._nodes.constant(f"shape.{'.'.join(map(str, shape))}", np.array(shape, dtype=np.int64))
        return self._nodes.add("Reshape", [source, constant], name)

    def _normalized(self, name: str) -> str:
        inputs = [self._stream, self._floats(f"{name}.weight"), self._floats(f"{name}.bias")]
        epsilon = self._config.layer_norm_epsilon
        return self._nodes.add("LayerNormalization", inputs, f"{name}.output", epsilon=epsilon)

    def _add_to_stream(self, source: str, name: str) -> None:
        self._stream = self._nodes.add("Add", [self._stream, source], name)

    def _linear(self, name: str, source: str) -> str:
        return self._nodes.add("Gemm", [source, self._matrix(name), self._floats(f"{name}.bias")], f"{name}.output")

    def _rows(self, name: str, ids: str) -> str:
        return table_rows(self._nodes, name, ids, self._weights(f"{name}.weight"), PRECISIONS["web"])

    def _matrix(self, name: str) -> str:
        """The transpose of the weight of ``name``, [in, out]."""
        weight = self._read(f"{name}.weight")
        size = block_size(weight.shape[1], 8)
        if size is None:
            return self._nodes.tensor(f"{name}.weight.transposed", weight.T)
        return unpacked_matrix(self._nodes, name, weight, size)

    def _floats(self, name: str) -> str:
        return self._nodes.tensor(name, self._read(name))

    def _read(self, name: str) -> np.ndarray:
        value = self._weights(name)
        return value if self._config.multi_query or ".c_attn." not in name else ungroup(value, self._config)
