"""The events of one request, as its caller sees them."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from santacoder.engine.events import Event, Finished
from santacoder.engine.sequence import Sequence


class Stream:
    """The events of one request, in order, ending with :class:`Finished`. Iterate over it once."""

    def __init__(self, sequence: Sequence, events: queue.SimpleQueue[Event]) -> None:
        self._sequence = sequence
        self._events = events
        self.notices = sequence.notices
        self.is_truncated = sequence.is_truncated
        self.logit_bias = sequence.sampler.params.logit_bias
        self.seed = sequence.sampler.seed
        self.n_prompt = sequence.n_prompt + len(sequence.taken_back)
        self.echo = sequence.echo
        self.crlf = sequence.crlf
        """Whether generated lines end in CRLF."""
        self.prompt_end = sequence.prompt_end
        """The last tokens of a prompt that is not echoed, for the :class:`Accumulator` of the generated text."""

    @property
    def n_cached(self) -> int:
        """The number of cached prompt tokens; known from the first event on."""
        return self._sequence.n_cached

    @property
    def n_drafted(self) -> int:
        """The number of tokens that have been drafted so far, right or wrong."""
        return self._sequence.n_drafted

    @property
    def n_accepted(self) -> int:
        """The number of generated tokens that were drafted."""
        return self._sequence.n_accepted

    @property
    def prompt_ids(self) -> list[int]:
        """The tokens of the prompt as requested. Token healing may later spell its end with other tokens."""
        return [*self._sequence.ids[: self._sequence.n_prompt], *self._sequence.taken_back]

    @property
    def slot(self) -> int:
        """The current or last slot; -1 while waiting."""
        return self._sequence.last_slot

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self._events.get()
            yield event
            if isinstance(event, Finished):
                return

    def cancel(self) -> None:
        """Stop before the next token and free the slot. Does nothing if the stream has finished."""
        self._sequence.cancelled.set()
