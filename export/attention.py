"""Multi-query attention for CPUs, in plain operators.

ONNX Runtime's GroupQueryAttention computes one head after the other, and takes several tokens after a past for one row
only. Here the heads of a token are rows of one matrix. In wide models this is faster, in narrow ones the many operators
cost more than they gain (docs/kernels.md, ``python -m benchmarks.attention``).

A row's result is the same to the last bit whatever the other rows are and however its tokens are divided among steps:
no product has a single row, the number of columns is a multiple of 64, so sums are formed in the same order, and hidden
columns add zeros. A sum over more than 128 columns is formed in parts, which the runtime makes longer where a product
or a thread's share of it is narrow, unless the first factor is transposed.
"""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from export.nodes import MICROSOFT, Nodes
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.cache import COLUMNS


class MultiQueryAttention:
    """The attention of all layers; what they have in common is computed once for each step."""

    def __init__(self, nodes: Nodes, config: SantaCoderConfig) -> None:
        self._nodes = nodes
        self._config = config
        self._add_shapes()
        self._add_positions()
        self._add_seen()

    def layer(self, number: int, query_key_value: str) -> str:
        """Write the new keys and values of layer ``number`` and return its output, [B, S, n_embd]. The input is
        ``query | key | value``, [B, S, n_embd + 2 head_dim]."""
        name, add = f"transformer.h.{number}.attn", self._nodes.add
        query, new = f"{name}.query", {"k": f"{name}.key", "v": f"{name}.value"}
        self._nodes.add_with_outputs("Split", [query_key_value, self._sizes], [query, *new.values()], name, axis=2)
        new["v"] = self._without_nan(new["v"])
        known = {}
        for kind, values in new.items():
            cache = add("ScatterND", [f"past_{kind}.{number}", self._places, values], f"present_{kind}.{number}")
            known[kind] = add("Slice", [cache, self._zero, self._n_columns, self._two], f"{values}.known")
        rows = add("Reshape", [query, self._by_head], f"{query}.rows")
        scale = 1 / math.sqrt(self._config.head_dim)
        scores = add("FusedMatMul", [rows, known["k"]], f"{name}.scores", MICROSOFT, transB=1, alpha=scale)
        scores = add("Where", [self._seen, scores, self._hidden_score], f"{name}.scores.masked")
        weights = add("Softmax", [scores], f"{name}.weights", axis=-1)
        # transposed, so that the parts of the sum over columns are of the same length in every product
        output = add("FusedMatMul", [known["v"], weights], f"{name}.product", MICROSOFT, transA=1, transB=1)
        output = add("Transpose", [output], f"{name}.product.rows", perm=[0, 1, 3, 2])
        return add("Reshape", [output, self._joined], f"{name}.output")

    def _add_shapes(self) -> None:
        n_head, head_dim, add = self._config.n_head, self._config.head_dim, self._nodes.add
        self._sizes = self._integers("attention.sizes", n_head * head_dim, head_dim, head_dim)
        self._zero, self._one, self._two = (self._integers(f"attention.{n}", n) for n in range(3))
        shape = add("Shape", ["input_ids"], "attention.shape")
        self._n_rows = add("Gather", [shape, self._zero], "attention.n_rows")
        self._n_tokens = add("Gather", [shape, self._one], "attention.n_tokens")
        # [B, 1, S * n_head, head_dim]: the heads of a token are rows of one matrix
        by_head = [self._n_rows, self._one, self._integers("attention.rest", -1)]
        by_head.append(self._integers("attention.head_dim", head_dim))
        self._by_head = add("Concat", by_head, "attention.by_head", axis=0)
        joined = [self._n_rows, self._n_tokens, self._integers("attention.width", n_head * head_dim)]
        self._joined = add("Concat", joined, "attention.joined", axis=0)
        # the longest row's tokens, rounded up
        total = add("Cast", ["total_sequence_length"], "attention.total", to=TensorProto.INT64)
        block = self._integers("attention.block", COLUMNS)
        more = add("Add", [total, self._integers("attention.block_less_one", COLUMNS - 1)], "attention.more")
        self._n_columns = add("Mul", [add("Div", [more, block], "attention.blocks"), block], "attention.n_columns")

    def _add_positions(self) -> None:
        """The position of each new token, [B, S], and where it is written: row, head 0 and position, [B, S, 3]."""
        add = self._nodes.add
        ends = add("Cast", ["seqlens_k"], "attention.ends", to=TensorProto.INT64)
        ends = add("Unsqueeze", [ends, self._one], "attention.ends.column")
        before_last = add("Sub", [self._n_tokens, self._one], "attention.before_last")
        starts = add("Sub", [ends, before_last], "attention.starts")
        self._positions = add("Add", [starts, self._counted("tokens", self._n_tokens)], "attention.positions")
        rows = add("Unsqueeze", [self._counted("rows", self._n_rows), self._one], "attention.rows.column")
        zeros = add("Mul", [self._positions, self._zero], "attention.zeros")
        parts = [add("Add", [rows, zeros], "attention.rows.each"), zeros, self._positions]
        columns = [add("Unsqueeze", [part, self._two], f"{part}.last") for part in parts]
        self._places = add("Concat", columns, "attention.places", axis=2)

    def _without_nan(self, values: str) -> str:
        """``values`` with 0 for NaN: a hidden column's weight is 0, and 0 times NaN would be NaN. Where the column is
        seen, its key makes the result NaN."""
        is_nan = self._nodes.add("IsNaN", [values], f"{values}.is_nan")
        zero = self._nodes.constant("attention.zero_value", np.array(0, dtype=np.float32))
        return self._nodes.add("Where", [is_nan, zero, values], f"{values}.without_nan")

    def _add_seen(self) -> None:
        """Which columns each token sees, [B, 1, S * n_head, columns]: those up to its own."""
        add = self._nodes.add
        last_seen = add("Unsqueeze", [self._positions, self._integers("attention.2_3", 2, 3)], "attention.last_seen")
        of_tokens = add("LessOrEqual", [self._counted("columns", self._n_columns), last_seen], "attention.seen.tokens")
        each_head = self._integers("attention.each_head", 1, 1, self._config.n_head, 1)
        of_heads = add("Expand", [of_tokens, each_head], "attention.seen.heads")
        shape = [self._n_rows, self._one, self._integers("attention.rest", -1), self._n_columns]
        shape_of_rows = add("Concat", shape, "attention.seen.shape", axis=0)
        self._seen = add("Reshape", [of_heads, shape_of_rows], "attention.seen")
        self._hidden_score = self._nodes.constant("attention.hidden_score", np.array(-np.inf, dtype=np.float32))

    def _counted(self, what: str, count: str) -> str:
        """0, 1, 2 … below ``count``, which is [1]."""
        start, step = (self._nodes.constant(f"attention.scalar_{n}", np.array(n, dtype=np.int64)) for n in (0, 1))
        limit = self._nodes.add("Squeeze", [count], f"attention.{what}.count")
        return self._nodes.add("Range", [start, limit, step], f"attention.{what}")

    def _integers(self, name: str, *values: int) -> str:
        return self._nodes.constant(name, np.array(values, dtype=np.int64))
