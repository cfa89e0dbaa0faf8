"""What a training run is: the model's shape, the objective, the optimiser and the schedule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from santacoder.config import SantaCoderConfig


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class TrainConfig:
    """One run. Sizes default to what two CPU cores train in an hour; rates are the paper's where it has them.

    Raises:
        ValueError: a value that no run can have; the message is a sentence for the user.
    """

    n_layer: int = _setting(6, "transformer blocks")
    n_embd: int = _setting(256, "width of the model")
    n_head: int = _setting(4, "attention heads")
    multi_query: bool = _setting(True, "one key/value head for all query heads")
    sequence_length: int = _setting(512, "tokens a sequence, and positions the model learns")
    batch_size: int = _setting(16, "sequences a step")
    steps: int = _setting(2000, "updates of the model")
    learning_rate: float = _setting(4e-3, "the peak, from which a cosine leads down to a tenth; adamw wants less")
    warmup_fraction: float = _setting(0.02, "share of the steps that lead up to the peak")
    weight_decay: float = _setting(0.1, "for matrices; biases and LayerNorms have none")
    beta1: float = _setting(0.9, "AdamW's memory of the gradient")
    beta2: float = _setting(0.95, "AdamW's memory of its square")
    gradient_clip: float = _setting(1.0, "largest norm of the gradient")
    optimizer: Literal["adamw", "muon"] = _setting("muon", "muon: for the blocks' matrices, with AdamW for the rest")
    fim_rate: float = _setting(0.5, "share of the documents rearranged for fill-in-the-middle")
    spm_rate: float = _setting(0.5, "share of those in suffix-prefix-middle order")
    seed: int = _setting(0, "of initialisation, data order and fill-in-the-middle")
    precision: Literal["fp32", "bf16"] = _setting("bf16", "of the matrix multiplies; weights are fp32")
    device: str = _setting("cpu", "cpu or cuda")
    validate_every: int = _setting(250, "steps between validations")
    validation_batches: int = _setting(8, "batches a validation")
    save_every: int = _setting(100, "steps between saved states")

    def __post_init__(self) -> None:
        for name in ("n_layer", "n_embd", "n_head", "sequence_length", "batch_size", "steps", "validate_every",
                     "validation_batches", "save_every"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("fim_rate", "spm_rate", "warmup_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}.")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(f"device {self.device} was asked for, but PyTorch finds no GPU here; use cpu.")

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.sequence_length

    def model_config(self, vocab_size: int) -> SantaCoderConfig:
        """The model this run trains. The embedding is padded to a multiple of 64 rows, which kernels prefer."""
        return SantaCoderConfig(
            vocab_size=-(-vocab_size // 64) * 64,
            n_positions=self.sequence_length,
            n_embd=self.n_embd,
            n_layer=self.n_layer,
            n_head=self.n_head,
            multi_query=self.multi_query,
        )
