"""The state of one running request."""

from __future__ import annotations

import queue
import threading

import numpy as np

from santacoder.engine.events import Finished, FinishReason, TokenEvent
from santacoder.engine.request import CompletionRequest, build_prompt
from santacoder.engine.stop import StopFinder
from santacoder.sampling import Sampler
from santacoder.tokenizer import Tokenizer


class Sequence:
    """Tokens read and written so far, and the way back to whoever asked.

    The engine's thread calls :meth:`add_token` and :meth:`finish`; any thread may read ``events`` and set
    ``cancelled``.
    """

    def __init__(self, request: CompletionRequest, tokenizer: Tokenizer, n_positions: int) -> None:
        prompt = build_prompt(request, tokenizer, n_positions)
        self.ids = list(prompt.ids)
        self.notices = prompt.notices
        self.n_read = 0  # ids whose keys and values are in the cache
        self.slot: int | None = None
        # of a document that goes on left to right, a mark of fill-in-the-middle is never a part
        self.sampler = Sampler(request.sampling, never=tokenizer.fim_ids if request.suffix is None else ())
        self.events: queue.SimpleQueue[TokenEvent | Finished] = queue.SimpleQueue()
        self.cancelled = threading.Event()
        self.finished = False
        self._end = len(prompt.ids) + prompt.max_new_tokens
        self._special_ids = tokenizer.special_ids
        self._decoder = tokenizer.stream_decoder()
        self._stop = StopFinder(request.sampling.stop)

    @property
    def n_unread(self) -> int:
        """Number of ids the model has still to read."""
        return len(self.ids) - self.n_read

    @property
    def n_left(self) -> int:
        """Number of tokens that may still be written."""
        return self._end - len(self.ids)

    def add_token(self, logits: np.ndarray) -> None:
        """Choose the next token from ``logits`` [V] and report it; end the sequence where it is the last one."""
        choice = self.sampler.choose(logits, self.ids)
        self.ids.append(choice.id)
        # end-of-text closes a document; any other mark opens or closes a part of one
        ended = choice.id in self._special_ids
        text, stopped = ("", False) if ended else self._stop.feed(self._decoder.feed(choice.id))
        self.events.put(TokenEvent(text, choice.id, choice.logprob, choice.top))
        if stopped:
            self.finish("stop", with_held=False)
        elif ended or len(self.ids) == self._end:
            self.finish("stop" if ended else "length")

    def finish(self, reason: FinishReason, message: str = "", *, with_held: bool = True) -> None:
        """Report the end; text held back is released unless a stop sequence follows it."""
        self.finished = True
        held = ""
        if with_held:
            shown, stopped = self._stop.feed(self._decoder.finish())
            held = shown if stopped else shown + self._stop.finish()
        self.events.put(Finished(reason, held, message))
