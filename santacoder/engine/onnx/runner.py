"""Runs the model with ONNX Runtime, from a graph that ``python -m export`` wrote."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from santacoder.checkpoint_files import shown
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.cache import RowCache
from santacoder.engine.onnx.memory import address, empty_floats
from santacoder.engine.onnx.session import first_line, open_session, run_options
from santacoder.engine.onnx.step import MOST_BINDINGS, DecodingStep, aligned
from santacoder.engine.runner import N_SLOTS, Logits, Portion, PrefillTogether, SavedSlot, Step
from santacoder.errors import CheckpointError

log = logging.getLogger(__name__)

# tolerance, relative to the spread of the logits; rounding differences within a batch are far smaller
_TOLERANCE = 0.1
# at most one idle row between those that decode for every eight of them
_PART_BETWEEN = 8
# after this many tokens, the runtime splits the sums over them
_TRIED_PAST, _TRIED_TOKENS = 188, 4
# from this many rows, the logits of a large vocabulary take more memory than all other activations of a chunk
_MANY_LOGITS = 64


class OnnxRunner:
    """A :class:`santacoder.engine.runner.Runner`.

    Each step's graph reads and writes the same buffers of keys and values. A slot is a row of them, so one sequence is
    bound as a batch of 1, and sequences that decode together as the rows from the first to the last. Where too many
    others lie between, rows are exchanged first, which takes far less time than computing them in every step.
    With ``exact``, a row's result is the same to the last bit whatever the batch: on a CPU most of the runtime's
    products take rows in pairs, and an odd one in another order of sums. Where a trial finds that, the number of rows
    is kept even, and a stream alone is slower by that; sums of integers have no order that matters.

    With ``captures``, which None stands for on a GPU, steps that decode are such as can be captured as CUDA graphs, one
    for each of a few ranges of rows, and are tried before any is relied on. Without a GPU they are the same steps, but
    slower. Where they cannot be captured or come out wrong, ``captures`` becomes False and a warning is logged.

    Raises:
        CheckpointError: the graph or its data is damaged or made for another runtime, the device cannot be used, or
            the steps that were tried come out wrong however they are run.
    """

    name = "onnx"

    def __init__(
        self,
        graph: Path,
        config: SantaCoderConfig,
        *,
        n_slots: int = N_SLOTS,
        device: str = "cpu",
        exact: bool = True,
        captures: bool | None = None,
    ) -> None:
        on_trial = device == "cuda" if captures is None else captures
        self._session, self.captures = open_session(graph, device, captures=on_trial)
        self._in_pairs = False
        # with a single token, or one that is left of parts of even length, the runtime sums in another order
        self._prefills_even = exact and device == "cpu"
        self.n_slots = n_slots
        self.n_positions = config.n_positions
        self.device = device
        self.precision = graph.stem.removeprefix("model_") if graph.stem != "model" else "fp32"
        self._n_rows = n_slots + n_slots % 2
        self._vocab_size = config.vocab_size
        self._cache = RowCache(self._session, config, self._n_rows, device)
        self._lengths = [0] * self._n_rows
        self._row_of = list(range(self._n_rows))  # of each slot
        self._step = DecodingStep(self._session, self._cache, config, device)
        self._prefill_binding = lru_cache(maxsize=MOST_BINDINGS)(self._cache.binding)
        self._plain, self._shrinking = run_options(), run_options(shrinks=device == "cpu")
        if on_trial:
            self._try_steps(graph)
        self.prefill_together: PrefillTogether | None = None
        if exact and device == "cpu":
            with self._running_on_trial(graph):
                self._in_pairs = self._rows_depend_on_batch()
                self.prefill_together = self._prefill_together if self._prefilling_is_decoding() else None

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        length = len(token_ids)
        row = self._row_of[slot]
        self._lengths[row] = start + length
        n_beside = length % 2 if self._prefills_even else 0
        ids = np.array([[*token_ids, *[0] * n_beside]], dtype=np.int64)
        return self._prefill_rows(row, ids, np.array([start]), np.arange(length - n_logits, length, dtype=np.int64))

    def _prefill_together(self, portions: Sequence[Portion]) -> Sequence[Logits]:
        self._move_together([portion.slot for portion in portions])
        rows = [self._row_of[portion.slot] for portion in portions]
        first, n_rows = self._rows(min(rows), max(rows))
        size = max(len(portion.token_ids) for portion in portions)
        size += self._odd(size)
        # a row between the requested ones, and a shorter portion, write after their slots' contents
        starts = np.array(self._lengths[first : first + n_rows])
        ids = np.zeros((n_rows, size), dtype=np.int64)
        for row, portion in zip(rows, portions, strict=True):
            ids[row - first, : len(portion.token_ids)] = portion.token_ids
            starts[row - first] = portion.start
        if starts.max() + size > self._cache.capacity:
            return [self.prefill(*portion) for portion in portions]
        ends = [(row - first) * size + len(portion.token_ids) for row, portion in zip(rows, portions, strict=True)]
        wanted = [np.arange(end - portion.n_logits, end) for end, portion in zip(ends, portions, strict=True)]
        logits = self._prefill_rows(first, ids, starts, np.concatenate(wanted))
        for row, portion in zip(rows, portions, strict=True):
            self._lengths[row] = portion.start + len(portion.token_ids)
        return np.split(logits, np.cumsum([portion.n_logits for portion in portions])[:-1])

    def _prefill_rows(self, first: int, ids: np.ndarray, starts: np.ndarray, wanted: np.ndarray) -> Logits:
        """Prefill ``ids`` [B, S] from positions ``starts`` [B] on, in the rows from ``first`` on. Returns the logits
        [N, V] of the tokens in ``wanted`` [N], indices into all B * S."""
        n_rows, length = ids.shape
        ends = starts + length
        inputs = {
            "input_ids": ids,
            "position_ids": np.minimum(starts[:, None] + np.arange(length), self.n_positions - 1),
            "seqlens_k": (ends - 1).astype(np.int32),
            "total_sequence_length": np.array(ends.max(), dtype=np.int32),
            "logits_index": np.append(wanted, wanted[-1:].repeat(self._odd(len(wanted)))),
        }
        binding = self._prefill_binding(first, n_rows)
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        logits = empty_floats((len(inputs["logits_index"]), self._vocab_size), self.device)
        binding.bind_output("logits", self.device, 0, np.float32, list(logits.shape), address(logits))
        # the runtime would keep the memory of the most that it has ever computed at once
        options = self._shrinking if len(wanted) > _MANY_LOGITS else self._plain
        self._session.run_with_iobinding(binding, options)
        return logits[: len(wanted)]

    def decode(self, steps: Sequence[Step]) -> Logits:
        try:
            return self._decode(steps)
        except Exception as error:  # the runtime's exceptions have no common type of their own
            if not self.captures:
                raise
            self._do_without_captures(first_line(error))
            return self._decode(steps)

    def copy(self, source: int, target: int, length: int) -> None:
        self._cache.copy(self._row_of[source], self._row_of[target], length)
        self._lengths[self._row_of[target]] = length

    def save(self, slot: int, length: int) -> SavedSlot:
        return self._cache.save(self._row_of[slot], length)

    def restore(self, slot: int, saved: SavedSlot) -> None:
        self._lengths[self._row_of[slot]] = self._cache.restore(self._row_of[slot], saved)

    def close(self) -> None:
        # each of them refers to the session
        del self._session, self._cache, self._step, self._prefill_binding

    def _decode(self, steps: Sequence[Step]) -> Logits:
        self._move_together([step.slot for step in steps])
        rows = [self._row_of[step.slot] for step in steps]
        first, n_rows = self._rows(min(rows), max(rows))
        # a row between the requested ones writes after its slot's contents, which does no harm
        token_ids = [0] * n_rows
        starts = self._lengths[first : first + n_rows]
        for row, step in zip(rows, steps, strict=True):
            token_ids[row - first] = step.token_id
            starts[row - first] = step.position
            self._lengths[row] = step.position + 1
        wanted = [row - first for row in rows]
        if self.captures:
            # the same for every caller, so that each range is captured once
            logits = self._step.run(first, token_ids, starts, range(n_rows), captured=True)
            return logits if wanted == list(range(n_rows)) else logits[wanted]
        in_pairs = wanted + wanted[-1:] * self._odd(len(wanted))
        return self._step.run(first, token_ids, starts, in_pairs, captured=False)[: len(wanted)]

    def _move_together(self, slots: Sequence[int]) -> None:
        """Exchange rows until few others lie between those of ``slots``."""
        rows = sorted(self._row_of[slot] for slot in slots)
        most = len(rows) + len(rows) // _PART_BETWEEN
        if rows[-1] - rows[0] < most:
            return
        # the window that already has most of them
        n_within = [bisect_left(rows, row + most) - index for index, row in enumerate(rows)]
        first = min(rows[n_within.index(max(n_within))], self._n_rows - most)
        used = set(rows)
        free = (row for row in range(first, first + most) if row not in used)
        slot_of = {row: slot for slot, row in enumerate(self._row_of)}
        for row, other in zip((row for row in rows if not first <= row < first + most), free, strict=False):
            self._cache.exchange(row, other, self._lengths[row], self._lengths[other])
            self._lengths[row], self._lengths[other] = self._lengths[other], self._lengths[row]
            self._row_of[slot_of[row]], self._row_of[slot_of[other]] = other, row

    def _rows(self, first: int, last: int) -> tuple[int, int]:
        """The first row and the number of rows to compute for slots ``first`` to ``last``."""
        if self.captures:
            return aligned(first, last, self._n_rows, least=1 + self._odd(1))
        if self._odd(last - first + 1):
            # one more row: the neighbour with the shorter sequence
            beside = [row for row in (first - 1, last + 1) if 0 <= row < self._n_rows]
            row = min(beside, key=lambda row: self._lengths[row])
            first, last = min(first, row), max(last, row)
        return first, last - first + 1

    def _odd(self, count: int) -> int:
        """The number of rows missing for an even number, if rows must be paired."""
        return count % 2 if self._in_pairs else 0

    def _rows_depend_on_batch(self) -> bool:
        """Whether the first of several rows with the same token differs from the others, or from one alone."""
        rows = [
            row
            for count in (1, 2, 3)
            for row in np.array(self.decode([Step(slot, 0, 0) for slot in range(min(count, self._n_rows))]))
        ]
        self._lengths = [0] * self._n_rows
        return any(not np.array_equal(row, rows[0]) for row in rows)

    def _prefilling_is_decoding(self) -> bool:
        """Whether a few tokens after a past have the same logits to the last bit when prefilled and when decoded."""
        past = min(_TRIED_PAST, self.n_positions - _TRIED_TOKENS)
        if past < 1:
            return False
        ids = [2 + index % 6 for index in range(past + _TRIED_TOKENS)]
        self.prefill(0, ids[:past], 0, 1)
        decoded = [np.array(self.decode([Step(0, ids[start], start)])[0]) for start in range(past, len(ids))]
        verified = self.prefill(0, ids[past:], past, _TRIED_TOKENS)
        self._lengths = [0] * self._n_rows
        return all(np.array_equal(*pair) for pair in zip(decoded, verified, strict=True))

    @contextmanager
    def _running_on_trial(self, graph: Path) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the runtime's exceptions have no common type of their own
            raise CheckpointError(f"{shown(graph)} cannot be run on {self.device} ({first_line(error)}).") from error

    def _try_steps(self, graph: Path) -> None:
        """Disable captures if captured steps give wrong results, and fail if plain steps do. Plain steps are wrong if
        the runtime runs an operator on the CPU, which sees the GPU's memory as it was when bound."""
        with self._running_on_trial(graph):
            if self.captures and not self._steps_are_right():
                self._do_without_captures("captured steps come out wrong")
            right = self.captures or self._steps_are_right()
        if not right:
            raise CheckpointError(f"{shown(graph)} cannot be run on {self.device}: ONNX Runtime gives wrong results.")
        self._lengths = [0] * self._n_rows

    def _steps_are_right(self) -> bool:
        """Whether decoding tokens one by one, in one row and in all rows, agrees with prefilling them at once."""
        import torch

        positions = range(2, 8)
        for slots in ([0], range(self.n_slots)):
            tokens = {slot: [position + slot % 2 for position in positions] for slot in slots}
            for slot in slots:
                self.prefill(slot, [0, 1], 0, 1)
            rounds = [[Step(slot, tokens[slot][at], start) for slot in slots] for at, start in enumerate(positions)]
            one_by_one = torch.stack([torch.as_tensor(self.decode(steps)).clone() for steps in rounds])
            for slot, logits in zip(slots, one_by_one.unbind(1), strict=True):
                at_once = torch.as_tensor(self.prefill(slot, [0, 1, *tokens[slot]], 0, len(positions)))
                if not (logits - at_once).square().mean().sqrt() <= _TOLERANCE * at_once.std():
                    return False
        return True

    def _do_without_captures(self, reason: str) -> None:
        log.warning("The model is served without CUDA graphs: %s", reason)
        self.captures = False


def graph_name(precision: str) -> str:
    """The file of a graph inside a revision's folder ``onnx``, by the names that the Hub's users know."""
    return "model.onnx" if precision == "fp32" else f"model_{precision}.onnx"
