"""transformers.js in a page, to compare the browser's engine with: the files of that page."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig

_HERE = Path(__file__).parent
_PACKAGES = _HERE / "node_modules"
# the build that the library takes in Chromium
_RUNTIME = ("ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")


def is_installed() -> bool:
    """Whether transformers.js is here; ``npm ci --ignore-scripts --prefix benchmarks/transformers_js`` installs it."""
    return (_PACKAGES / "@huggingface" / "transformers").is_dir()


def write_page(folder: Path, model: str) -> None:
    """Write a page with transformers.js and ``model`` to ``folder``.

    Its graph is the one of the site with the inputs that transformers.js knows, and the weights in float32, since its
    runtime has no kernel for packed embeddings. Only the last logits leave it, while graphs from ``optimum`` return
    those of the whole prompt, so prompts are read faster.
    """
    repo_id, _, revision = model.partition("@")
    snapshot = checkpoints.resolve(repo_id, revision or "main", download=False)
    stored = checkpoints.open_stored(snapshot)
    place = folder / "models" / "model"
    (place / "onnx").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        write_graph(path, stored.config, lambda name: stored.read(name).numpy(), PRECISIONS["fp32"])
        graph = onnx.load(path)
    onnx.save(with_usual_inputs(graph, stored.config.n_layer), place / "onnx" / "model.onnx")
    shutil.copyfile(snapshot / "tokenizer.json", place / "tokenizer.json")
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    (place / "config.json").write_text(json.dumps(_config(stored.config)))
    for name in ("index.html", "worker.js"):
        shutil.copyfile(_HERE / name, folder / name)
    library = _PACKAGES / "@huggingface" / "transformers" / "dist" / "transformers.min.js"
    for file in (library, *(_PACKAGES / "onnxruntime-web" / "dist" / name for name in _RUNTIME)):
        shutil.copyfile(file, folder / file.name)


def with_usual_inputs(model: onnx.ModelProto, n_layer: int) -> onnx.ModelProto:
    """``model`` with an attention mask in place of lengths, and transformers.js's names for keys and values."""
    graph = model.graph
    kinds = (("k", "key"), ("v", "value"))
    names = {f"{kind}.{layer}": f"{layer}.{long}" for layer in range(n_layer) for kind, long in kinds}
    new = {f"past_{old}": f"past_key_values.{name}" for old, name in names.items()}
    new |= {f"present_{old}": f"present.{name}" for old, name in names.items()} | {"logits": "rows"}
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = new.get(value.name, value.name)
    computed = ("seqlens_k", "total_sequence_length", "logits_index")
    inputs = [value for value in graph.input if value.name not in computed]
    inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch_size", "total"]))
    for value in inputs:
        if value.name.startswith("past_"):
            value.type.tensor_type.shape.dim[2].dim_param = "past_length"
    outputs = [value for value in graph.output if value.name != "rows"]
    for value in outputs:
        value.type.tensor_type.shape.dim[2].dim_param = "total"
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", 1, "vocab_size"])
    del graph.input[:], graph.output[:]
    graph.input.extend(inputs)
    graph.output.extend([logits, *outputs])
    nodes = [*_lengths(), *graph.node, helper.make_node("Unsqueeze", ["rows", "first"], ["logits"])]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        [
            helper.make_tensor("first", TensorProto.INT64, [1], [0]),
            helper.make_tensor("second", TensorProto.INT64, [1], [1]),
            helper.make_tensor("scalar_second", TensorProto.INT64, [], [1]),
        ]
    )
    return model


def _lengths() -> list[onnx.NodeProto]:
    """From the mask and the ids: the lengths, and the index of the last position."""
    return [
        helper.make_node("Shape", ["attention_mask"], ["mask_shape"]),
        helper.make_node("Gather", ["mask_shape", "scalar_second"], ["total"]),
        helper.make_node("Cast", ["total"], ["total_sequence_length"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["attention_mask", "second"], ["n_seen"], keepdims=0),
        helper.make_node("Sub", ["n_seen", "scalar_second"], ["last_seen"]),
        helper.make_node("Cast", ["last_seen"], ["seqlens_k"], to=TensorProto.INT32),
        helper.make_node("Shape", ["input_ids"], ["ids_shape"]),
        helper.make_node("Gather", ["ids_shape", "second"], ["n_new"]),
        helper.make_node("Sub", ["n_new", "second"], ["logits_index"]),
    ]


def _config(config: SantaCoderConfig) -> dict[str, object]:
    """The shape, by the names of an architecture whose keys and values transformers.js stores apart."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.n_positions,
    }
