"""Checkpoints in other formats, created from transformers' models, which give the expected logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, GPTBigCodeConfig, GPTBigCodeForCausalLM, PreTrainedModel

from santacoder.tokenizer import Tokenizer

Format = Literal["safetensors", "bin"]
SHAPE = {"n_positions": 128, "n_embd": 64, "n_layer": 3, "n_head": 4, "initializer_range": 0.2}


def big_code(vocab_size: int, *, seed: int = 0, **settings: Any) -> GPTBigCodeForCausalLM:
    torch.manual_seed(seed)
    return _with_biases(GPTBigCodeForCausalLM(GPTBigCodeConfig(**SHAPE, vocab_size=vocab_size, **settings)))


def santacoder_remote_code(
    vocab_size: int,
    *,
    multi_query: bool,
    seed: int = 0,
    shape: dict[str, Any] = SHAPE,
    dtype: torch.dtype = torch.float32,
) -> tuple[GPT2LMHeadModel, dict[str, Any], dict[str, Tensor]]:
    """A model, and an equivalent ``config.json`` and weights of ``GPT2LMHeadCustomModel``, in ``dtype``.

    For multi-head attention, the model is transformers' GPT-2; for multi-query attention, it is GPT-2 whose heads have
    equal keys and values.
    """
    torch.manual_seed(seed)
    config = GPT2Config(**shape, vocab_size=vocab_size, activation_function="gelu_fast")
    twin = _with_biases(GPT2LMHeadModel(config)).to(dtype)
    weights = {name: tensor.clone() for name, tensor in twin.state_dict().items() if name != "lm_head.weight"}
    if multi_query:
        _share_keys_and_values(twin, weights)
    document = {
        **shape,
        "activation_function": "gelu_fast",
        "architectures": ["GPT2LMHeadCustomModel"],
        "attention_head_type": "multiquery" if multi_query else "multihead",
        "auto_map": {"AutoModelForCausalLM": "modeling_gpt2_mq.GPT2LMHeadCustomModel"},
        "model_type": "gpt2",
        "n_inner": None,
        "scale_attn_by_inverse_layer_idx": False,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "vocab_size": vocab_size,
    }
    return twin.float(), document, weights


def in_gpt_bigcode(weights: dict[str, Tensor], n_head: int) -> dict[str, Tensor]:
    """Multi-head weights of ``GPT2LMHeadCustomModel`` as GPTBigCode has them: (out, in), and query, key and value of
    each head together.
    """
    converted = {}
    for name, tensor in weights.items():
        if ".attn." in name or ".mlp." in name:
            tensor = tensor.t()
        if ".c_attn." in name:
            by_head = zip(*(part.chunk(n_head) for part in tensor.chunk(3)), strict=True)
            tensor = torch.cat([rows for head in by_head for rows in head])
        converted[name] = tensor.contiguous()
    return converted


def write(
    folder: Path,
    document: dict[str, Any],
    weights: dict[str, Tensor],
    tokenizer: Tokenizer,
    *,
    file_format: Format = "safetensors",
    n_shards: int = 1,
) -> Path:
    """Write a checkpoint folder with one weights file, or with ``n_shards`` files and an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document))
    tokenizer.save(folder / "tokenizer.json")
    stem = {"safetensors": "model", "bin": "pytorch_model"}[file_format]
    if n_shards == 1:
        save(weights, folder / f"{stem}.{file_format}")
        return folder
    names = list(weights)
    files = [f"{stem}-{shard + 1:05}-of-{n_shards:05}.{file_format}" for shard in range(n_shards)]
    weight_map = {name: files[index % n_shards] for index, name in enumerate(names)}
    for file in files:
        save({name: weights[name] for name in names if weight_map[name] == file}, folder / file)
    index = {"metadata": {"total_size": sum(tensor.nbytes for tensor in weights.values())}, "weight_map": weight_map}
    (folder / f"{stem}.{file_format}.index.json").write_text(json.dumps(index))
    return folder


@torch.no_grad()
def _with_biases(model: PreTrainedModel) -> Any:
    """Set biases and LayerNorms, which transformers initialises to 0 and 1, so that a wrong order is noticed."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


@torch.no_grad()
def _share_keys_and_values(twin: GPT2LMHeadModel, weights: dict[str, Tensor]) -> None:
    """Give every head of ``twin`` the keys and values of the first; store them once in ``weights``."""
    n_embd, n_head = twin.config.n_embd, twin.config.n_head
    head_dim = n_embd // n_head
    for layer, block in enumerate(twin.transformer.h):
        for kind, fused in (("weight", block.attn.c_attn.weight), ("bias", block.attn.c_attn.bias)):
            query, key, value = fused.clone().split(n_embd, dim=-1)
            key, value = key[..., :head_dim], value[..., :head_dim]
            fused.copy_(torch.cat([query, *[key] * n_head, *[value] * n_head], dim=-1))
            prefix = f"transformer.h.{layer}.attn"
            del weights[f"{prefix}.c_attn.{kind}"]
            weights[f"{prefix}.q_attn.{kind}"] = query.contiguous()
            weights[f"{prefix}.kv_attn.{kind}"] = torch.cat([key, value], dim=-1)


def save(weights: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(weights, path, metadata={"format": "pt"})
    else:
        torch.save(weights, path)
