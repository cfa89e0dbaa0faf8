"""The interface between the engine and what computes the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from santacoder.config import SantaCoderConfig

if TYPE_CHECKING:  # a graph on a CPU is served without PyTorch, which takes 0.2 GB
    from torch import Tensor

Logits: TypeAlias = "np.ndarray | Tensor"
"""[N, V] float32: an array, or a tensor on the GPU that computed it."""

SavedSlot: TypeAlias = Any
"""Keys and values of a slot, in a form that its runner knows."""


N_SLOTS = 8
"""Sequences that a runner holds where nobody says how many."""


_MOST_SLOT_BYTES = 2_000_000_000
_LEAST_SLOTS = 2
_MOST_SLOTS = 256
_MANY_SLOT_BYTES = 700_000_000


def slot_memory(config: SantaCoderConfig, itemsize: int) -> int:
    """Bytes of the keys and values of one slot."""
    return 2 * config.n_layer * config.n_kv_head * config.n_positions * config.head_dim * itemsize


def memory_needed(config: SantaCoderConfig, itemsize: int, n_slots: int = N_SLOTS) -> int:
    """Bytes that PyTorch takes for a model: its weights and the slots."""
    return config.n_parameters * itemsize + slot_memory(config, itemsize) * n_slots


def affordable_slots(config: SantaCoderConfig, itemsize: int) -> int:
    """The number of slots whose keys and values take at most 2 GB, up to eight; at least two.

    With multi-head attention, a slot of the published shape takes 0.8 GB in single precision, instead of 0.05.
    """
    return max(_LEAST_SLOTS, min(N_SLOTS, _MOST_SLOT_BYTES // slot_memory(config, itemsize)))


def graph_slots(config: SantaCoderConfig, itemsize: int, device: str) -> int:
    """The number of slots for a graph: on a CPU hundreds for a small model, whose keys and values take 0.7 GB if all
    are in use, so that nobody waits for one. A GPU captures a graph for each of many ranges of rows, so it has few."""
    few = affordable_slots(config, itemsize)
    return few if device == "cuda" else max(few, min(_MOST_SLOTS, _MANY_SLOT_BYTES // slot_memory(config, itemsize)))


class RunnerEnded(Exception):
    """What computes the model has ended and cannot be used any more."""


class Step(NamedTuple):
    """One token of the sequence in ``slot``, at ``position``."""

    slot: int
    token_id: int
    position: int


class Portion(NamedTuple):
    """Tokens to prefill into ``slot`` from the position ``start`` on, and the number of the last ones after which the
    logits are needed."""

    slot: int
    token_ids: list[int]
    start: int
    n_logits: int


PrefillTogether = Callable[[Sequence[Portion]], "Sequence[Logits]"]
"""Prefills tokens of several slots in one run. Returns the logits, [n_logits, V] for each slot."""


class Runner(Protocol):
    """Computes logits for sequences whose keys and values are stored in slots.

    ``name``, ``precision`` and ``device`` are shown to the user. The next call may overwrite returned logits.
    ``prefill_together`` is None unless tokens that are prefilled have the same logits to the last bit as decoded ones,
    and as those that are prefilled alone.
    """

    name: str
    precision: str
    device: str
    n_slots: int
    n_positions: int
    prefill_together: PrefillTogether | None

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        """Prefill ``token_ids`` into ``slot`` from position ``start`` on. Returns the logits after the last
        ``n_logits`` of them, [n_logits, V].

        The slot's contents from ``start`` on are overwritten.
        """
        ...

    def decode(self, steps: Sequence[Step]) -> Logits:
        """Decode one token in each of several slots. Returns the logits after each, [N, V], in the same order."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of ``source`` to ``target``."""
        ...

    def save(self, slot: int, length: int) -> SavedSlot:
        """Keys and values of the first ``length`` positions of ``slot``, for :meth:`restore`."""
        ...

    def restore(self, slot: int, saved: SavedSlot) -> None:
        """Write what :meth:`save` returned to the first positions of ``slot``."""
        ...

    def close(self) -> None:
        """Free the weights, keys and values. No other method may be called afterwards."""
        ...
