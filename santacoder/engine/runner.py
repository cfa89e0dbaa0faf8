"""The interface between the engine and what computes the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

Logits = np.ndarray | Tensor
"""[N, V] float32: an array, or a tensor on the GPU that computed it."""


N_SLOTS = 8
"""Sequences that a runner holds where nobody says how many."""


class Step(NamedTuple):
    """One new token of the sequence in ``slot``, at ``position``."""

    slot: int
    token_id: int
    position: int


class Runner(Protocol):
    """Computes logits for sequences whose keys and values live in slots.

    ``name``, ``precision`` and ``device`` are shown to the user. What is returned may be overwritten by the next call.
    """

    name: str
    precision: str
    device: str
    n_slots: int
    n_positions: int

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        """Compute ``token_ids`` at positions ``start`` and up of ``slot``: logits after the last ``n_logits`` of them.

        What the slot held from ``start`` on is overwritten.
        """
        ...

    def decode(self, steps: Sequence[Step]) -> Logits:
        """Compute one token of each of several slots; the logits after each, in their order."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Make the first ``length`` positions of ``target`` those of ``source``."""
        ...

    def save(self, slot: int, length: int) -> Tensor:
        """Keys and values of the first ``length`` positions of ``slot``, for :meth:`restore`."""
        ...

    def restore(self, slot: int, saved: Tensor) -> None:
        """Make the first positions of ``slot`` what :meth:`save` returned."""
        ...
