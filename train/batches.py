"""The batch of any step, computed from the seed and the step alone, so that a resumed run sees what it would have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from santacoder.fim import FimTransform


@dataclass(frozen=True)
class Batches:
    """Windows of ``sequence_length`` + 1 tokens, each seen once an epoch in an order of that epoch's own."""

    tokens: np.ndarray
    sequence_length: int
    batch_size: int
    seed: int
    fim: FimTransform

    def __post_init__(self) -> None:
        if self.n_windows < 1:
            raise ValueError(
                f"The corpus has {len(self.tokens)} tokens, fewer than one sequence of {self.sequence_length} + 1: "
                "add files or lower the sequence length."
            )

    @property
    def n_windows(self) -> int:
        return (len(self.tokens) - 1) // self.sequence_length

    def at(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of ``step``, both [batch_size, sequence_length] int64; padding is -100 in the targets."""
        rows = [self._window(step * self.batch_size + row) for row in range(self.batch_size)]
        batch = torch.from_numpy(np.stack(rows).astype(np.int64))
        inputs, targets = batch[:, :-1], batch[:, 1:].clone()
        targets[targets == self.fim.tokenizer.fim_pad_id] = -100
        return inputs, targets

    def _window(self, index: int) -> np.ndarray:
        """The ``index``-th window of the run, [sequence_length + 1], after the FIM transformation."""
        epoch, position = divmod(index, self.n_windows)
        start = int(_epoch_order(self.seed, epoch, self.n_windows)[position]) * self.sequence_length
        window = np.array(self.tokens[start : start + self.sequence_length + 1])
        return self.fim(window, np.random.default_rng((self.seed, index)))


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, n_windows: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n_windows)
