"""The model as one ONNX graph, written node by node with ONNX Runtime's fused operators.

A step takes new tokens of one or more sequences and their key/value buffers, writes the new keys and values into the
buffers, and gives the logits that are asked for:

==========================  =====================================  ==============================================
input_ids, position_ids     [B, S] int64                           the new tokens and where they stand
seqlens_k                   [B] int32                              index of each row's last token
total_sequence_length       scalar int32                           the longest row's number of tokens
logits_index                [N] int64                              which of the B * S positions want logits
past_k.I, past_v.I          [B, n_kv_head, capacity, head_dim]     the same memory as present_k.I, present_v.I
logits                      [N, vocab_size] float32
==========================  =====================================  ==============================================

With S > 1 behind a past, B must be 1 (a limit of GroupQueryAttention).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.precisions import Precision, block_size
from export.quantize import quantize_blocks
from export.tensors import TensorFile
from santacoder.config import SantaCoderConfig

Weights = Callable[[str], np.ndarray]
"""A stored tensor by its name in the checkpoint, as float32."""

_TABLE_BITS = 8
_OPSETS = {"": 21, "com.microsoft": 1}


def write_graph(
    path: Path,
    config: SantaCoderConfig,
    weights: Weights,
    precision: Precision,
    report: Callable[[float], None] = lambda share: None,
) -> None:
    """Write ``path`` and, beside it, ``path`` + ``_data`` with the weights; ``report`` is told the share done."""
    with TensorFile(path.with_name(path.name + "_data")) as tensors:
        graph = _Graph(config, weights, precision, tensors)
        for layer in range(config.n_layer):
            graph.add_layer(layer)
            report((layer + 1) / (config.n_layer + 1))
        graph.add_head()
        model = graph.model()
    onnx.save(model, path)
    report(1.0)


class _Graph:
    """Nodes in the order of computation; ``hidden`` and ``residual`` name the two streams between the layers."""

    def __init__(self, config: SantaCoderConfig, weights: Weights, precision: Precision, tensors: TensorFile) -> None:
        self._config = config
        self._weights = weights
        self._precision = precision
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        # the bias of the projection before, which rides on the next LayerNorm
        self._pending_bias = ""
        self._hidden, self._residual = self._embeddings()

    def add_layer(self, layer: int) -> None:
        prefix = f"transformer.h.{layer}"
        self._normalize(f"{prefix}.ln_1")
        attention = self._attention(
            layer, self._linear(f"{prefix}.attn.c_attn", self._hidden, with_bias=True, bits=self._precision.bits)
        )
        self._project(f"{prefix}.attn.c_proj", attention)
        self._normalize(f"{prefix}.ln_2")
        inner = self._gelu(
            f"{prefix}.mlp.c_fc",
            self._linear(f"{prefix}.mlp.c_fc", self._hidden, with_bias=False, bits=self._precision.bits),
        )
        self._project(f"{prefix}.mlp.c_proj", inner)

    def add_head(self) -> None:
        self._normalize("transformer.ln_f")
        flat_shape = self._constant("flat_shape", np.array([-1, self._config.n_embd], dtype=np.int64))
        rows = self._node("Reshape", [self._hidden, flat_shape], "head.rows")
        wanted = self._node("Gather", [rows, "logits_index"], "head.wanted", axis=0)
        name = "transformer.wte" if self._config.tie_word_embeddings else "lm_head"
        logits = self._linear(name, wanted, with_bias=False, bits=self._precision.bits and _TABLE_BITS)
        self._node("Cast", [logits], "logits", to=TensorProto.FLOAT)

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
        graph = helper.make_graph(self._nodes, "santacoder", inputs, outputs, self._initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="santacoder")
        helper.set_model_props(model, {"data_sha256": self._tensors.sha256})
        return model

    def _embeddings(self) -> tuple[str, str]:
        tokens = self._embed("transformer.wte.weight", "input_ids", "embedded.tokens")
        return tokens, self._embed("transformer.wpe.weight", "position_ids", "embedded.positions")

    def _embed(self, name: str, ids: str, output: str) -> str:
        """Rows of a table, which is in 8 bits where matrices are quantised."""
        table = self._weights(name)
        size = block_size(table.shape[1], _TABLE_BITS)
        if self._precision.bits is None or size is None:
            return self._node("Gather", [self._floats(name), ids], output, axis=0)
        values, scales = quantize_blocks(table, _TABLE_BITS, size)
        inputs = [
            self._tensor(f"{name}.values", values.reshape(table.shape)),
            ids,
            self._tensor(f"{name}.scales", scales),
        ]
        return self._node(
            "GatherBlockQuantized",
            inputs,
            output,
            domain="com.microsoft",
            bits=_TABLE_BITS,
            block_size=size,
            gather_axis=0,
            quantize_axis=1,
        )

    def _normalize(self, name: str) -> None:
        """Add the latest output and its bias to the residual stream, and normalise the sum."""
        inputs = [self._hidden, self._residual, self._floats(f"{name}.weight"), self._floats(f"{name}.bias")]
        if self._pending_bias:
            inputs.append(self._pending_bias)
        outputs = [f"{name}.output", "", "", f"{name}.residual"]
        self._nodes.append(
            helper.make_node(
                "SkipLayerNormalization",
                inputs,
                outputs,
                name=name,
                domain="com.microsoft",
                epsilon=self._config.layer_norm_epsilon,
            )
        )
        self._hidden, self._residual, self._pending_bias = outputs[0], outputs[3], ""

    def _attention(self, layer: int, query_key_value: str) -> str:
        name = f"transformer.h.{layer}.attn"
        self._nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [
                    *(query_key_value, "", ""),
                    *(f"past_k.{layer}", f"past_v.{layer}"),
                    *("seqlens_k", "total_sequence_length"),
                ],
                [f"{name}.output", f"present_k.{layer}", f"present_v.{layer}"],
                name=name,
                domain="com.microsoft",
                num_heads=self._config.n_head,
                kv_num_heads=self._config.n_kv_head,
                scale=1 / math.sqrt(self._config.head_dim),
            )
        )
        return f"{name}.output"

    def _project(self, name: str, source: str) -> None:
        """A projection back into the residual stream."""
        self._hidden = self._linear(name, source, with_bias=False, bits=self._precision.bits)
        self._pending_bias = self._floats(f"{name}.bias")

    def _gelu(self, name: str, source: str) -> str:
        bias = self._floats(f"{name}.bias")
        operator = "FastGelu" if self._config.gelu_approximate == "tanh" else "BiasGelu"
        return self._node(operator, [source, bias], f"{name}.gelu", domain="com.microsoft")

    def _linear(self, name: str, source: str, *, with_bias: bool, bits: int | None) -> str:
        """``source`` times the transposed weight of ``name``, in the precision's own kernel."""
        weight = self._weights(f"{name}.weight")
        bias = self._weights(f"{name}.bias") if with_bias else None
        if name.endswith("attn.c_attn") and not self._config.multi_query:
            assert bias is not None
            weight, bias = _ungroup(weight, self._config), _ungroup(bias, self._config)
        size = bits and block_size(weight.shape[1], bits)
        if bits and size:
            return self._matmul_nbits(name, source, weight, bias, bits, size)
        return self._matmul(name, source, weight, bias)

    def _matmul(self, name: str, source: str, weight: np.ndarray, bias: np.ndarray | None) -> str:
        transposed = self._tensor(f"{name}.weight.transposed", self._precision.cast(weight.T))
        product = self._node("MatMul", [source, transposed], f"{name}.product")
        if bias is None:
            return product
        return self._node("Add", [product, self._tensor(f"{name}.bias", self._precision.cast(bias))], f"{name}.output")

    def _matmul_nbits(
        self, name: str, source: str, weight: np.ndarray, bias: np.ndarray | None, bits: int, size: int
    ) -> str:
        values, scales = quantize_blocks(weight, bits, size)
        inputs = [
            source,
            self._tensor(f"{name}.matrix.values", values),
            self._tensor(f"{name}.matrix.scales", scales),
        ]
        if bias is not None:
            inputs += ["", "", self._tensor(f"{name}.bias", bias)]
        return self._node(
            "MatMulNBits",
            inputs,
            f"{name}.output",
            domain="com.microsoft",
            K=weight.shape[1],
            N=weight.shape[0],
            bits=bits,
            block_size=size,
            # activations in 8 bits, each row by itself
            accuracy_level=4,
        )

    def _node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        self._nodes.append(
            helper.make_node(operator, inputs, [output], name=output, domain=domain or None, **attributes)
        )
        return output

    def _floats(self, name: str) -> str:
        """A stored tensor as an initializer, in the precision that the graph computes in."""
        return self._tensor(name, self._precision.cast(self._weights(name)))

    def _tensor(self, name: str, value: np.ndarray) -> str:
        self._initializers.append(self._tensors.add(name, value))
        return name

    def _constant(self, name: str, value: np.ndarray) -> str:
        self._initializers.append(onnx.numpy_helper.from_array(value, name))
        return name


def _ungroup(stored: np.ndarray, config: SantaCoderConfig) -> np.ndarray:
    """Rows of a multi-head ``c_attn`` from (query, key, value) of each head to all queries, all keys, all values."""
    by_head = stored.reshape(config.n_head, 3, config.head_dim, *stored.shape[1:])
    return by_head.swapaxes(0, 1).reshape(stored.shape)
