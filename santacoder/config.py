"""The shape of a model, read from and written to transformers' GPTBigCode ``config.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SantaCoderConfig:
    """Defaults are the published 1.1 B model's (arXiv 2301.03988, table 2).

    ``vocab_size`` counts the rows of the embedding, padding included; the tokenizer may use fewer.
    ``multi_query`` switches between one shared key/value head and one per query head.
    """

    vocab_size: int = 49_280
    n_positions: int = 2048
    n_embd: int = 2048
    n_layer: int = 24
    n_head: int = 16
    n_inner: int | None = None
    multi_query: bool = True
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.022

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be a multiple of n_head, but {self.n_embd} is not a multiple of {self.n_head}."
            )

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def n_kv_head(self) -> int:
        return 1 if self.multi_query else self.n_head

    @property
    def inner_dim(self) -> int:
        return self.n_inner if self.n_inner is not None else 4 * self.n_embd

    @classmethod
    def from_transformers(cls, config: dict[str, Any]) -> SantaCoderConfig:
        """Read a GPTBigCode ``config.json``.

        Raises:
            ValueError: the file describes another architecture, or a variant this model does not compute.
        """
        if config.get("model_type") != "gpt_bigcode":
            raise ValueError(
                f"model_type is {config.get('model_type')!r}, but this loader reads 'gpt_bigcode' checkpoints."
            )
        # transformers' two names for the same function, see its activations.py
        activation = config.get("activation_function", "gelu_pytorch_tanh")
        if activation not in ("gelu_pytorch_tanh", "gelu_fast"):
            raise ValueError(f"activation_function {activation!r} is not supported; expected 'gelu_pytorch_tanh'.")
        if not config.get("scale_attn_weights", True):
            raise ValueError("scale_attn_weights false is not supported.")
        missing = [key for key in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head") if key not in config]
        if missing:
            raise ValueError(f"config.json lacks {', '.join(missing)}.")
        return cls(
            vocab_size=config["vocab_size"],
            n_positions=config["n_positions"],
            n_embd=config["n_embd"],
            n_layer=config["n_layer"],
            n_head=config["n_head"],
            n_inner=config.get("n_inner"),
            multi_query=config.get("multi_query", True),
            layer_norm_epsilon=config.get("layer_norm_epsilon", 1e-5),
            initializer_range=config.get("initializer_range", 0.02),
        )

    def to_transformers(self, *, eos_token_id: int, dtype: str) -> dict[str, Any]:
        """The GPTBigCode ``config.json`` of this shape; ``dtype`` names the stored weights, such as ``bfloat16``."""
        return {
            "architectures": ["GPTBigCodeForCausalLM"],
            "model_type": "gpt_bigcode",
            "activation_function": "gelu_pytorch_tanh",
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "attention_softmax_in_fp32": True,
            "scale_attention_softmax_in_fp32": True,
            "scale_attn_weights": True,
            "bos_token_id": eos_token_id,
            "eos_token_id": eos_token_id,
            "initializer_range": self.initializer_range,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "multi_query": self.multi_query,
            "n_embd": self.n_embd,
            "n_head": self.n_head,
            "n_inner": self.inner_dim,
            "n_layer": self.n_layer,
            "n_positions": self.n_positions,
            "tie_word_embeddings": True,
            "torch_dtype": dtype,
            "use_cache": True,
            "vocab_size": self.vocab_size,
        }
