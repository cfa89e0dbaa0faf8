"""The shape of a model, read from the ``config.json`` of either format and written as transformers' GPTBigCode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from santacoder.errors import UserError

# transformers' names of the two variants of GELU (its activations.py): the tanh approximation, and the exact one with
# erf
_GELU_TANH = ("gelu_pytorch_tanh", "gelu_fast", "gelu_new")
_GELU_EXACT = ("gelu", "gelu_python")
# far beyond every published model of this architecture, and small enough that handling a shape costs nothing
_LARGEST = {
    "vocab_size": 1 << 20,
    "n_positions": 1 << 20,
    "n_embd": 1 << 16,
    "n_layer": 1 << 10,
    "n_head": 1 << 10,
    "n_inner": 1 << 18,
}


@dataclass(frozen=True)
class SantaCoderConfig:
    """The shape of a model. The defaults are those of the published 1.1 B model (arXiv 2301.03988, table 2).

    ``vocab_size`` is the number of rows of the embedding, including padding; the tokenizer may use fewer.
    ``multi_query`` selects one shared key/value head instead of one per query head. ``gelu_approximate`` is "tanh" in
    SantaCoder and "none", the exact function, in StarCoder. With ``tie_word_embeddings``, the output layer shares the
    embedding.
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
    gelu_approximate: Literal["tanh", "none"] = "tanh"
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        for key, largest in _LARGEST.items():
            value = getattr(self, key)
            if key == "n_inner" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise UserError(f"{key} must be a positive whole number, not {_short(value)}.")
            if value > largest:
                raise UserError(f"{key} is {_short(value)}; at most {largest:,} is supported.")
        for key in ("layer_norm_epsilon", "initializer_range"):
            value = getattr(self, key)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
                raise UserError(f"{key} must be a number between 0 and 1, not {_short(value)}.")
        for key in ("multi_query", "tie_word_embeddings"):
            if not isinstance(getattr(self, key), bool):
                raise UserError(f"{key} must be true or false, not {_short(getattr(self, key))}.")
        if self.n_embd % self.n_head:
            raise UserError(
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

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases; a tied embedding counts once."""
        n_fused = self.n_embd + 2 * self.n_kv_head * self.head_dim
        attention = (self.n_embd + 1) * n_fused + (self.n_embd + 1) * self.n_embd
        mlp = (self.n_embd + 1) * self.inner_dim + (self.inner_dim + 1) * self.n_embd
        layer_norm = 2 * self.n_embd
        n_embeddings = self.vocab_size * (1 if self.tie_word_embeddings else 2) + self.n_positions
        return n_embeddings * self.n_embd + self.n_layer * (attention + mlp + 2 * layer_norm) + layer_norm

    @classmethod
    def from_transformers(cls, config: dict[str, Any]) -> SantaCoderConfig:
        """Read the ``config.json`` of a GPTBigCode model, or of a GPT2LMHeadCustomModel such as ``bigcode/santacoder``.

        Raises:
            UserError: the file describes another architecture, or a variant that this model does not support.
        """
        multi_query = _multi_query(config)
        for key, value in (
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
        ):
            if config.get(key, value) != value:
                raise UserError(f"{key} {_short(config[key])} is not supported.")
        missing = [key for key in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head") if key not in config]
        if missing:
            raise UserError(f"it lacks {', '.join(missing)}.")
        return cls(
            vocab_size=config["vocab_size"],
            n_positions=config["n_positions"],
            n_embd=config["n_embd"],
            n_layer=config["n_layer"],
            n_head=config["n_head"],
            n_inner=config.get("n_inner"),
            multi_query=multi_query,
            layer_norm_epsilon=config.get("layer_norm_epsilon", 1e-5),
            initializer_range=config.get("initializer_range", 0.02),
            gelu_approximate=_gelu_approximate(config.get("activation_function", "gelu_pytorch_tanh")),
            tie_word_embeddings=config.get("tie_word_embeddings", True),
        )

    def to_transformers(self, *, eos_token_id: int, dtype: str) -> dict[str, Any]:
        """The GPTBigCode ``config.json`` of this shape; ``dtype`` is the type of the stored weights, such as
        ``bfloat16``.
        """
        return {
            "architectures": ["GPTBigCodeForCausalLM"],
            "model_type": "gpt_bigcode",
            "activation_function": (_GELU_TANH if self.gelu_approximate == "tanh" else _GELU_EXACT)[0],
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
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": dtype,
            "use_cache": True,
            "vocab_size": self.vocab_size,
        }


def _multi_query(config: dict[str, Any]) -> bool:
    """Whether a ``config.json`` selects multi-query attention, after checking that it describes this architecture."""
    model_type, head_type = config.get("model_type"), config.get("attention_head_type")
    if model_type == "gpt_bigcode":
        return config.get("multi_query", True)
    if model_type == "gpt2" and head_type in ("multiquery", "multihead"):
        return head_type == "multiquery"
    if model_type == "gpt2":
        raise UserError(
            f"attention_head_type is {_short(head_type)}; a SantaCoder of model_type 'gpt2' has 'multiquery' or "
            "'multihead'."
        )
    raise UserError(
        f"model_type is {_short(model_type)}, but a SantaCoder has 'gpt_bigcode', or 'gpt2' with its own code."
    )


def _gelu_approximate(activation: str) -> Literal["tanh", "none"]:
    if activation in _GELU_TANH:
        return "tanh"
    if activation in _GELU_EXACT:
        return "none"
    raise UserError(
        f"activation_function {_short(activation)} is not supported; expected {', '.join(_GELU_TANH + _GELU_EXACT)}."
    )


def _short(value: Any) -> str:
    """A short representation of a value from the file, which may have any type and length."""
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number of more than twenty digits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]} …"
