"""What a training run is: the model's shape, the objective, the optimiser and the schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from santacoder.config import SantaCoderConfig


@dataclass(frozen=True)
class TrainConfig:
    """One run. Sizes default to what two CPU cores train in an evening; rates are the paper's where it has them.

    ``sequence_length`` is also the number of positions the model learns. ``batch_size`` counts sequences a step.
    ``learning_rate`` is the peak: linear warm-up over ``warmup_fraction`` of the steps, then a cosine to a tenth.
    """

    n_layer: int = 6
    n_embd: int = 256
    n_head: int = 4
    multi_query: bool = True
    sequence_length: int = 512
    batch_size: int = 16
    steps: int = 2000
    learning_rate: float = 4e-3
    warmup_fraction: float = 0.02
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    gradient_clip: float = 1.0
    optimizer: Literal["adamw", "muon"] = "muon"
    fim_rate: float = 0.5
    spm_rate: float = 0.5
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "bf16"
    device: str = "cpu"
    validate_every: int = 250
    validation_batches: int = 8
    save_every: int = 100

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
