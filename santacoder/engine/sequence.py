"""The state of one running request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from santacoder.engine.blank_start import BlankStart
from santacoder.engine.ends.text_end import TextEnd
from santacoder.engine.events import EndedBy, Event, Finished, FinishReason, PromptToken, TokenEvent
from santacoder.engine.gap_order import DEFAULT_ORDER
from santacoder.engine.gap_start import GapStart, is_inside_line
from santacoder.engine.prompt_lookup import Drafting
from santacoder.engine.request import CompletionRequest, Prompt, build_prompt
from santacoder.engine.runner import Logits, SavedSlot
from santacoder.engine.token_healing import TokenHealing
from santacoder.errors import as_sentence
from santacoder.fim import FimOrder
from santacoder.sampling import Choice, Sampler
from santacoder.tokenizer import Tokenizer

log = logging.getLogger(__name__)

# a character has four bytes at most, so the beginning of one lies in the last three tokens
_LONGEST_BEGINNING = 3
# added to a logit: more than logits differ by
_AVOIDED = -1000.0


class Sequence:
    """The tokens of a request so far, and the delivery of its events.

    The engine's thread calls :meth:`add`, :meth:`add_scores` and :meth:`finish`, which call ``deliver``; any thread may
    set ``cancelled``. If ``deliver`` fails, the sequence is cancelled.

    Args:
        request: what to complete.
        tokenizer: the model's tokenizer.
        n_positions: the context size in tokens.
        deliver: called with each event.
        on_end: called with the sequence once it has finished.
        fim_order: the order of a prompt with a gap, if the request has none.
        healing: token healing for the tokenizer; None turns it off.
        client: the client, for turns between clients.
        session: where the text may be drafted from, and drafted from later.
    """

    def __init__(
        self,
        request: CompletionRequest,
        tokenizer: Tokenizer,
        n_positions: int,
        deliver: Callable[[Event], None],
        on_end: Callable[[Sequence], None] = lambda sequence: None,
        fim_order: FimOrder = DEFAULT_ORDER,
        healing: TokenHealing | None = None,
        client: str = "",
        session: str = "",
    ) -> None:
        self.client = client
        self.session = session
        self.submitted_at = time.perf_counter()
        self.first_token_at: float | None = None
        self.reason: FinishReason | None = None
        self.ended_by: EndedBy | None = None
        prompt = build_prompt(request, tokenizer, n_positions, fim_order, healing)
        self.ids = list(prompt.ids)
        self.notices = prompt.notices
        self.is_truncated = prompt.is_truncated
        self.n_prompt = len(prompt.ids)
        self.prompt = np.array(prompt.ids, dtype=np.int32)
        # while waiting: a sequence that prefills a common prefix, and the length of that prefix
        self.waits_for: tuple[Sequence, int] | None = None
        self.n_cached = 0  # cached prompt ids when the sequence got its slot
        self.echo = request.echo
        self.use_cache = request.use_cache and not request.echo  # an echo needs the logits after each token
        self.crlf = request.crlf
        self.n_computed = 0  # ids whose keys and values are in the cache
        self.slot: int | None = None
        self.last_slot = -1  # kept when the slot is freed
        self.is_paused = False  # waiting for a slot again, with ``saved`` keys and values
        self.saved: SavedSlot | None = None
        self._never = list(_never(request, prompt, tokenizer))
        self.sampler = Sampler(request.sampling, never=self._never, n_prompt=self.n_prompt)
        self._gap_start: GapStart | None = None
        self._blank_start: BlankStart | None = None
        if not any(text.strip() for _, text in request.written):
            if request.fit_gap and request.suffix is not None and is_inside_line(request.prefix, request.suffix):
                self._gap_start = GapStart(request.prefix, tokenizer)
            if request.sampling.stop_repetition:
                self._blank_start = BlankStart(tokenizer, (token_id for token_id, _ in request.written))
        self.drafting: Drafting | None = None  # the engine's thread begins it
        self.expected = -1  # the next token of the draft that is being verified
        self.n_drafted = self.n_accepted = 0  # tokens that were drafted, and those of them that are in the text
        self.cancelled = threading.Event()
        self.finished = False
        self.taken_back = prompt.taken_back
        self._typed = prompt.typed  # the part of the prompt's end that is still to be spelled again
        self._healing = healing
        # ids of the tokens that may come next, as long as some of it is
        self.agreeing = healing.agreeing(self._typed) if healing and self._typed else None
        self._token_bytes = tokenizer.decode_bytes
        self._n_positions = n_positions
        self._max_new_tokens = prompt.max_new_tokens
        self._n_respelled = 0
        self._end = n_positions if self._typed else len(prompt.ids) + prompt.max_new_tokens
        self._special_ids = tokenizer.special_ids
        self.prompt_end = () if self.echo or self._typed else tuple(prompt.ids[-_LONGEST_BEGINNING:])
        self._bias_new_text()
        self._decoder = tokenizer.stream_decoder(self.prompt_end)
        self._text_end = TextEnd(request)
        self._deliver = deliver
        self._on_end = on_end
        if self.echo:
            self._report(PromptToken(self._decoder.feed(self.ids[0]), self.ids[0], None))

    @property
    def n_to_prefill(self) -> int:
        """The number of prompt tokens that have not been prefilled."""
        return max(0, self.n_prompt - self.n_computed)

    @property
    def n_written(self) -> int:
        return len(self.ids) - self.n_prompt - self._n_respelled

    @property
    def n_left(self) -> int:
        """The number of tokens that may still be generated."""
        return self._end - len(self.ids)

    @property
    def looks_first(self) -> bool:
        """Whether :meth:`look_at` must be called before the next token is sampled."""
        return self._gap_start is not None or self._blank_start is not None or self.sampler.never is not self._never

    def look_at(self, logits: Logits) -> None:
        """Prepare for sampling from ``logits`` [V]: some tokens must not come first in a gap or in a text."""
        avoided: list[int] = []
        if self._gap_start is not None:
            avoided += self._gap_start.avoided(logits, self.agreeing)
        if self._blank_start is not None and self.agreeing is None:
            avoided += self._blank_start.avoided
        self.sampler.never = self._never + avoided if avoided else self._never

    def add(self, choice: Choice) -> None:
        """Report the next token. Finish the sequence if it is the last one, or if it is too unlikely to be used."""
        n_typed = len(self._typed)
        is_respelled = n_typed > 0 and len(self._token_bytes([choice.id])) <= n_typed
        least = self.sampler.params.min_logprob
        if least is not None and choice.model_logprob < least and not is_respelled:
            self.ended_by = "min_logprob"
            self.finish("stop")
            return
        self.ids.append(choice.id)
        self.n_accepted += choice.id == self.expected and not is_respelled
        self.first_token_at = self.first_token_at or time.perf_counter()
        if n_typed:
            self._spell(choice.id, is_respelled=is_respelled)
        # end-of-text ends a document; any other special token begins or ends a part of one
        ended = choice.id in self._special_ids
        decoded = "" if ended else self._decoder.feed(choice.id, n_typed)
        if decoded.strip():  # the text has begun
            self._gap_start = self._blank_start = None
        elif self._blank_start is not None and not is_respelled:
            self._blank_start.add(choice.id)
        text, stopped = ("", False) if ended or is_respelled else self._text_end.feed(choice.id, decoded)
        self._report(TokenEvent(text, choice.id, choice.logprob, choice.top, n_typed))
        if stopped:
            self.finish("stop", with_held=False)
        elif ended or len(self.ids) == self._end:
            self.ended_by = "end_of_text" if ended else None
            self.finish("stop" if ended else "length")

    def may_begin_with(self, token_id: int) -> bool:
        """Whether a draft that begins with ``token_id`` changes nothing but the speed. What must be spelled again of
        the prompt's end is then in that token; where it may take several, the first is chosen by what follows it,
        which only the draft of the removed tokens tells."""
        if not self._typed:
            return True
        return len(self.taken_back) <= 1 and self._token_bytes([token_id]).startswith(self._typed)

    def agreeing_behind(self, token_id: int) -> np.ndarray | None:
        """Ids of the tokens that may follow ``token_id`` if it leaves a part of the prompt's end to be spelled."""
        left = self._typed[len(self._token_bytes([token_id])) :]
        return self._healing.agreeing(left) if left and self._healing else None

    def _spell(self, token_id: int, *, is_respelled: bool) -> None:
        """Record a token that spells a part of the prompt's end again; the last one may contain more."""
        self._typed = self._typed[len(self._token_bytes([token_id])) :]
        self._n_respelled += is_respelled
        if is_respelled:
            self.sampler.n_prompt = len(self.ids)
        if self._typed and self._healing:
            self.agreeing = self._healing.agreeing(self._typed)
        else:
            self.agreeing = None
            self._end = min(self._n_positions, len(self.ids) - (not is_respelled) + self._max_new_tokens)
        self._bias_new_text()

    def _bias_new_text(self) -> None:
        """Apply the bias to tokens that add to the text, not to those that only spell the prompt's end again. That must
        be spelled, so meanwhile a banned token is only avoided."""
        bias = self.sampler.params.logit_bias
        if bias and (n_typed := len(self._typed)):
            adding = (pair for pair in bias if len(self._token_bytes([pair[0]])) > n_typed)
            bias = tuple((token_id, max(value, _AVOIDED)) for token_id, value in adding)
        self.sampler.set_bias(bias)

    def add_scores(self, choices: list[Choice]) -> None:
        """Report the next tokens of the prompt, as if they had been sampled."""
        for choice in choices:
            text = self._decoder.feed(choice.id)
            self._report(PromptToken(text, choice.id, choice.logprob, choice.top))

    def finish(self, reason: FinishReason, message: str = "", *, with_held: bool = True) -> None:
        """Report the end. Held-back text is released if it belongs to the text."""
        self.finished = True
        self.saved = None
        held = ""
        try:
            if with_held:
                held = self._release_held()
        except Exception as error:
            log.exception("a text could not be ended")
            reason, message = "error", f"The text could not be ended: {as_sentence(error)}"
        self.ended_by = self._text_end.ended_by or self.ended_by
        self.reason = "stop" if self.ended_by and reason == "length" else reason
        self._report(Finished(self.reason, held, message, self.ended_by, self._text_end.cut))
        try:
            self._on_end(self)
        except Exception:
            log.exception("the end of a text could not be recorded")

    def _release_held(self) -> str:
        begun = self.echo or self.n_written > 0  # an incomplete character of the prompt is not part of the text
        return self._text_end.finish(self._decoder.finish() if begun else "")

    def _report(self, event: Event) -> None:
        try:
            self._deliver(event)
        except Exception:
            log.exception("an event could not be delivered; its request is cancelled")
            self.cancelled.set()


def _never(request: CompletionRequest, prompt: Prompt, tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens that must not be sampled: in left-to-right completion, the sentinels of fill-in-the-middle."""
    if request.sampling.ignore_eos:
        return tokenizer.special_ids
    return tokenizer.fim_ids if tokenizer.fim_ids.isdisjoint(prompt.ids) else frozenset()
