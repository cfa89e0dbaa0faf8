"""The model as one ONNX graph, built node by node with ONNX Runtime's fused operators.

A step takes new tokens of one or more sequences and their key/value buffers, writes the new keys and values into the
buffers, and returns the requested logits:

==========================  =====================================  ==============================================
input_ids, position_ids     [B, S] int64                           the new tokens and their positions
seqlens_k                   [B] int32                              index of each row's last token
total_sequence_length       scalar int32                           the longest row's number of tokens
logits_index                [N] int64                              which of the B * S positions need logits
past_k.I, past_v.I          [B, n_kv_head, capacity, head_dim]     the same memory as present_k.I, present_v.I
logits                      [N, vocab_size] float32
==========================  =====================================  ==============================================

``capacity`` is a multiple of 64. Where GroupQueryAttention computes (in narrow models, with multi-head attention and on
GPUs), B must be 1 if S > 1 after a past.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.attention import MultiQueryAttention
from export.linear import linear, table_product, table_rows
from export.nodes import MICROSOFT, Nodes
from export.precisions import Precision
from export.tensors import TensorFile
from export.web_graph import WebGraph
from export.weights import Weights, ungroup
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError

# the width from which plain operators are faster than GroupQueryAttention on a CPU: a step of one row of
# santacoder/mini takes 0.40 ms with them instead of 0.32 (two Zen 5 cores)
_WIDE = 1024
# what GroupQueryAttention can run; it says so only when it does
_HEAD_MULTIPLE = 8


def write_graph(
    path: Path,
    config: SantaCoderConfig,
    weights: Weights,
    precision: Precision,
    report: Callable[[float], None] = lambda share: None,
) -> None:
    """Write the graph to ``path`` and its weights to ``path`` + ``_data``.

    ``report`` is called with the fraction of the work done.

    Raises:
        CheckpointError: ONNX Runtime cannot run a model of this shape.
    """
    with TensorFile(path.with_name(path.name + "_data")) as tensors:
        graph: _Graph | WebGraph
        if precision.for_browsers:
            graph = WebGraph(config, weights, tensors)
        else:
            graph = _Graph(config, weights, precision, tensors)
        for layer in range(config.n_layer):
            graph.add_layer(layer)
            report((layer + 1) / (config.n_layer + 1))
        graph.add_head()
        model = graph.model()
    onnx.save(model, path)
    report(1.0)


class _Graph:
    """A graph under construction. ``hidden`` and ``residual`` are the names of the two streams between the layers."""

    def __init__(self, config: SantaCoderConfig, weights: Weights, precision: Precision, tensors: TensorFile) -> None:
        self._config = config
        self._weights = weights
        self._precision = precision
        self._nodes = Nodes(tensors)
        # the bias of the previous projection, added in the next LayerNorm
        self._pending_bias = ""
        self._hidden, self._residual = self._embeddings()
        is_plain = precision.for_cpu and config.multi_query and config.n_embd >= _WIDE
        self._multi_query_attention = MultiQueryAttention(self._nodes, config) if is_plain else None
        if not is_plain and config.head_dim % _HEAD_MULTIPLE:
            raise CheckpointError(
                f"ONNX Runtime's attention needs heads whose size is a multiple of {_HEAD_MULTIPLE}, and this model's "
                f"have {config.head_dim}; PyTorch serves it."
            )

    def add_layer(self, layer: int) -> None:
        prefix = f"transformer.h.{layer}"
        self._normalize(f"{prefix}.ln_1")
        self._hidden = self._attention(layer, self._linear(f"{prefix}.attn.c_attn", with_bias=True))
        if layer == self._config.n_layer - 1:
            self._keep_wanted()
        self._project(f"{prefix}.attn.c_proj")
        self._normalize(f"{prefix}.ln_2")
        self._hidden = self._gelu(f"{prefix}.mlp.c_fc", self._linear(f"{prefix}.mlp.c_fc", with_bias=False))
        self._project(f"{prefix}.mlp.c_proj")

    def add_head(self) -> None:
        self._normalize("transformer.ln_f")
        name = "transformer.wte" if self._config.tie_word_embeddings else "lm_head"
        weight = self._weights(f"{name}.weight")
        logits = table_product(self._nodes, name, self._hidden, weight, self._precision)
        if self._precision.dtype == np.float32:
            self._nodes.add("Identity", [logits], "logits")
        else:
            self._nodes.add("Cast", [logits], "logits", to=TensorProto.FLOAT)

    def model(self) -> onnx.ModelProto:
        config, cache_type = self._config, self._precision.element_type
        cache_shape = ["batch_size", config.n_kv_head, "capacity", config.head_dim]
        caches = [f"{kind}.{layer}" for layer in range(config.n_layer) for kind in ("k", "v")]
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch_size", "length"]),
            helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["batch_size", "length"]),
            helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, ["batch_size"]),
            helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, []),
            helper.make_tensor_value_info("logits_index", TensorProto.INT64, ["n_logits"]),
            *(helper.make_tensor_value_info(f"past_{name}", cache_type, cache_shape) for name in caches),
        ]
        outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n_logits", config.vocab_size]),
            *(helper.make_tensor_value_info(f"present_{name}", cache_type, cache_shape) for name in caches),
        ]
        return self._nodes.model(inputs, outputs)

    def _embeddings(self) -> tuple[str, str]:
        tokens, positions = (
            table_rows(
                self._nodes, f"transformer.{name}", ids, self._weights(f"transformer.{name}.weight"), self._precision
            )
            for name, ids in (("wte", "input_ids"), ("wpe", "position_ids"))
        )
        return tokens, positions

    def _normalize(self, name: str) -> None:
        """Add the latest output and its bias to the residual stream, and normalise the sum."""
        scale_and_shift = [self._floats(f"{name}.weight"), self._floats(f"{name}.bias")]
        epsilon = self._config.layer_norm_epsilon
        if self._precision.dtype == np.float32:
            # on a CPU, SkipLayerNormalization takes six times as long as the operators that it replaces
            self._residual = self._nodes.add("Add", [self._residual, self._hidden], f"{name}.sum")
            if self._pending_bias:
                self._residual = self._nodes.add("Add", [self._residual, self._pending_bias], f"{name}.residual")
            inputs = [self._residual, *scale_and_shift]
            self._hidden = self._nodes.add("LayerNormalization", inputs, f"{name}.output", epsilon=epsilon)
        else:
            inputs = [self._hidden, self._residual, *scale_and_shift, self._pending_bias]
            outputs = [f"{name}.output", "", "", f"{name}.residual"]
            self._nodes.add_with_outputs("SkipLayerNormalization", inputs, outputs, name, MICROSOFT, epsilon=epsilon)
            self._hidden, self._residual = outputs[0], outputs[3]
        self._pending_bias = ""

    def _attention(self, layer: int, query_key_value: str) -> str:
        if self._multi_query_attention is not None:
            return self._multi_query_attention.layer(layer, query_key_value)
        name = f"transformer.h.{layer}.attn"
        self._nodes.add_with_outputs(
            "GroupQueryAttention",
            [
                *(query_key_value, "", ""),
                *(f"past_k.{layer}", f"past_v.{layer}"),
                *("seqlens_k", "total_sequence_length"),
            ],
            [f"{name}.output", f"present_k.{layer}", f"present_v.{layer}"],
            name,
            MICROSOFT,
            num_heads=self._config.n_head,
            kv_num_heads=self._config.n_kv_head,
            scale=1 / math.sqrt(self._config.head_dim),
        )
        return f"{name}.output"

    def _keep_wanted(self) -> None:
        """Keep only the positions whose logits are requested; after the last keys and values, no others are needed."""
        shape = self._nodes.constant("rows_shape", np.array([-1, self._config.n_embd], dtype=np.int64))
        wanted = []
        for name, stream in (("hidden", self._hidden), ("residual", self._residual)):
            rows = self._nodes.add("Reshape", [stream, shape], f"wanted.{name}.rows")
            wanted.append(self._nodes.add("Gather", [rows, "logits_index"], f"wanted.{name}", axis=0))
        self._hidden, self._residual = wanted

    def _project(self, name: str) -> None:
        """Apply a projection back into the residual stream."""
        self._hidden = self._linear(name, with_bias=False)
        self._pending_bias = self._floats(f"{name}.bias")

    def _gelu(self, name: str, source: str) -> str:
        operator = "FastGelu" if self._config.gelu_approximate == "tanh" else "BiasGelu"
        return self._nodes.add(operator, [source, self._floats(f"{name}.bias")], f"{name}.gelu", domain=MICROSOFT)

    def _linear(self, name: str, *, with_bias: bool) -> str:
        """The hidden states multiplied by the transposed weight of ``name``."""
        weight = self._weights(f"{name}.weight")
        bias = self._weights(f"{name}.bias") if with_bias else None
        if name.endswith("attn.c_attn") and not self._config.multi_query:
            assert bias is not None
            weight, bias = ungroup(weight, self._config), ungroup(bias, self._config)
        return linear(self._nodes, name, self._hidden, weight, bias, self._precision)

    def _floats(self, name: str) -> str:
        """A stored tensor as an initializer, in the precision of the graph's computation."""
        return self._nodes.tensor(name, self._precision.cast(self._weights(name)))
