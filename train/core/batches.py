"""Training batches, computed from the seed and the step alone, so that a resumed run sees the same batches."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from santacoder.errors import UserError
from santacoder.fim import FimTransform
from train.core.loss import IGNORED_TARGET
from train.data.pack import Documents


@dataclass(frozen=True)
class Batches:
    """Windows of ``sequence_length`` + 1 tokens. Each window is seen once per epoch, and each epoch has its own order.

    ``documents`` gives the language of each document to the FIM transformation. If ``balanced``, windows are drawn from
    the languages in turn, by the language in which a window begins, so a language with fewer windows has more epochs.
    """

    tokens: np.ndarray
    sequence_length: int
    batch_size: int
    seed: int
    fim: FimTransform
    documents: Documents | None = None
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.n_windows < 1:
            raise UserError(
                f"The corpus has {len(self.tokens)} tokens, fewer than one sequence of {self.sequence_length} + 1: "
                "add files, or use shorter sequences (--sequence-length)."
            )

    @property
    def n_windows(self) -> int:
        return (len(self.tokens) - 1) // self.sequence_length

    def at(self, step: int, rows: range | None = None) -> tuple[Tensor, Tensor]:
        """Inputs and targets of ``step``, both [len(rows), sequence_length] int64; padding is -100 in the targets.

        ``rows`` selects rows of the batch; by default all ``batch_size`` are returned.
        """
        wanted = range(self.batch_size) if rows is None else rows
        windows = [self._window(step * self.batch_size + row) for row in wanted]
        batch = torch.from_numpy(np.stack(windows).astype(np.int64))
        inputs, targets = batch[:, :-1], batch[:, 1:].clone()
        targets[targets == self.fim.tokenizer.fim_pad_id] = IGNORED_TARGET
        return inputs, targets

    def windows(self, step: int) -> list[int]:
        """The windows that ``step`` reads; window n begins at token n * sequence_length."""
        return [self._position(step * self.batch_size + row) for row in range(self.batch_size)]

    def _window(self, index: int) -> np.ndarray:
        """The ``index``-th window of the run, [sequence_length + 1], after the FIM transformation."""
        start = self._position(index) * self.sequence_length
        window = np.array(self.tokens[start : start + self.sequence_length + 1])
        languages = self.documents.languages_from(start, len(window)) if self.documents else ()
        return self.fim(window, np.random.default_rng((self.seed, index)), languages)

    def _position(self, index: int) -> int:
        if not self.balanced:
            epoch, position = divmod(index, self.n_windows)
            return int(_epoch_order((self.seed, epoch), self.n_windows)[position])
        turn, group = divmod(index, len(self._by_language))
        windows = self._by_language[group]
        epoch, position = divmod(turn, len(windows))
        return int(windows[_epoch_order((self.seed, epoch, group), len(windows))[position]])

    @cached_property
    def _by_language(self) -> list[np.ndarray]:
        """For each language, the numbers of the windows that begin in it."""
        assert self.documents is not None
        codes = self.documents.codes[self.documents.at(np.arange(self.n_windows) * self.sequence_length)]
        return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def prefetched(batches: Batches, steps: range, rows: range, *, workers: int, pin_memory: bool) -> DataLoader:
    """Load ``batches.at(step, rows)`` for each of ``steps``, prepared ahead of time by ``workers`` processes."""
    return DataLoader(
        _Steps(batches, rows),
        sampler=steps,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_be_a_worker,
    )


@dataclass(frozen=True)
class _Steps(Dataset):
    batches: Batches
    rows: range

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self.batches.at(step, self.rows)


def _be_a_worker(_: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the threads of tokenizers do not survive a fork
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches the whole process group; the main process ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@lru_cache(maxsize=8)
def _epoch_order(seed: tuple[int, ...], n_windows: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(n_windows)
