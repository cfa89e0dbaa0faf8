"""The engine: one thread that turns requests into streams of tokens."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from collections.abc import Sequence as SequenceType

from santacoder.engine.choosing import choose, foresee, score
from santacoder.engine.events import Event, FinishReason
from santacoder.engine.gap_order import DEFAULT_ORDER
from santacoder.engine.prompt_lookup import TRUSTED, TRUSTED_ALWAYS, PromptLookups
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Logits, Portion, Runner, RunnerEnded, Step
from santacoder.engine.scheduler import PROMPT_CHUNK, Scheduler, Turn
from santacoder.engine.sequence import Sequence
from santacoder.engine.stream import Stream
from santacoder.engine.token_healing import TokenHealing
from santacoder.engine.written_texts import CONTEXT, TextsBySession, WrittenTexts
from santacoder.errors import as_sentence
from santacoder.fim import FimOrder, in_order_of_writing
from santacoder.tokenizer import Tokenizer

log = logging.getLogger(__name__)

MAX_WAITING = 64
_MOST_DRAFTING = 8
"""Sequences that decode, up to which verifying drafts is faster than decoding token by token. With santacoder/mini on
two Zen 3 cores, eight take as long with drafts as without, and sixty-four 1.45 times as long."""
_LONGEST_TOGETHER = 64
"""Prompt tokens up to which several sequences are prefilled in one run; longer chunks use the processor fully alone."""


class EngineBusy(Exception):
    """Too many requests are waiting."""


class Engine:
    """Serves concurrent requests to one model."""

    def __init__(
        self,
        runner: Runner,
        tokenizer: Tokenizer,
        *,
        max_waiting: int = MAX_WAITING,
        drafts: bool = True,
        exact: bool = True,
        on_end: Callable[[Sequence], None] = lambda sequence: None,
        fim_order: FimOrder | None = None,
    ) -> None:
        """Start the engine's thread.

        Args:
            runner: computes the logits.
            tokenizer: the model's tokenizer.
            max_waiting: the length of the queue.
            drafts: verify drafts (prompt_lookup.py).
            exact: texts are the same to the last byte however many decode. If the runner does not verify exactly,
                whether a text is drafted must then depend on the text alone. Otherwise nothing is drafted while so many
                sequences decode that it would take longer.
            on_end: called by the engine's thread with each finished sequence; it must not raise.
            fim_order: the order that the revision records, for requests without one.
        """
        self.fim_order = fim_order
        self.runner = runner
        self.tokenizer = tokenizer
        self.problem: str | None = None
        """The error of the last run of the model; None if it succeeded."""
        self.healing = TokenHealing(tokenizer)
        self._scheduler = Scheduler(runner.n_slots, max_waiting)
        always = exact and runner.prefill_together is None
        self._most_drafting = 0 if not drafts else runner.n_slots if always else _MOST_DRAFTING
        self._lookups = PromptLookups(TRUSTED_ALWAYS if always else TRUSTED)
        self._written = TextsBySession() if not always else None
        self._on_end = on_end
        self._changed = threading.Condition()
        self._closing = False
        self._has_ended = False
        self._refusal: str | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self,
        request: CompletionRequest,
        deliver: Callable[[Event], None] | None = None,
        *,
        client: str = "",
        session: str = "",
    ) -> Stream:
        """Start ``request`` as soon as a slot is free. Clients take turns. A text may be drafted from earlier ones of
        the same ``session``, unless that is empty.

        With ``deliver``, events are passed to that function, mostly by the engine's thread, and the stream must not be
        iterated over. The function must not block; if it raises, the request is cancelled.

        Raises:
            EngineBusy: the queue is full, or the engine is closed.
            UserError: the request cannot be served; the message is a sentence for the user.
        """
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        sequence = Sequence(
            request,
            self.tokenizer,
            self.runner.n_positions,
            deliver or events.put,
            self._note_end,
            self.fim_order or DEFAULT_ORDER,
            self.healing,
            client,
            session,
        )
        with self._changed:
            if self._refusal is not None:
                raise EngineBusy(self._refusal)
            if not self._scheduler.add(sequence):
                raise EngineBusy("Too many requests are waiting for this model; try again in a moment.")
            self._changed.notify()
        return Stream(sequence, events)

    @property
    def n_free_slots(self) -> int:
        with self._changed:
            return self._scheduler.n_free_slots

    @property
    def busy_slots(self) -> set[int]:
        with self._changed:
            return {sequence.last_slot for sequence in self._scheduler.running}

    @property
    def alive(self) -> bool:
        """Whether the engine's thread is still running."""
        return not self._has_ended

    @property
    def n_waiting(self) -> int:
        with self._changed:
            return self._scheduler.n_waiting

    def drain(self, seconds: float) -> None:
        """Refuse new requests, and wait up to ``seconds`` for the running ones to finish."""
        with self._changed:
            self._refusal = "The server is being stopped; try again in a moment."
            self._changed.wait_for(lambda: self._scheduler.idle or not self.alive, seconds)

    def close(self) -> None:
        """Cancel all requests and end the thread."""
        with self._changed:
            self._closing = True
            self._refusal = "The model is being unloaded; try again."
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_turn():
                pass
        except RunnerEnded as error:  # no fault of this thread, so there is no trace to report
            self.problem = f"The engine has ended: {as_sentence(error)}"
            log.error(self.problem)
        except BaseException as error:  # the thread ends: no request may wait for it
            log.exception("the engine has ended")
            self.problem = f"The engine has ended: {as_sentence(error)}"
            raise
        finally:
            with self._changed:
                self._has_ended = True
                self._refusal = self.problem or self._refusal
                self._abandon("error" if self.problem else "cancelled", self.problem or "")

    def _take_turn(self) -> bool:
        """Wait for sequences, and advance those whose turn it is. Returns False if the engine is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or not self._scheduler.idle)
            if self._closing:
                return False
            turn = self._scheduler.turn()
        try:
            self._advance(turn)
            self.problem = None
        except RunnerEnded:
            raise
        except Exception as error:  # whatever else the runner raises, the streams must end and the engine must continue
            log.exception("the model could not be run")
            self.problem = f"The model could not be run: {as_sentence(error)}"
            with self._changed:
                self._abandon("error", self.problem)
        return True

    def _advance(self, turn: Turn) -> None:
        for sequence in turn.paused:
            sequence.saved = self.runner.save(sequence.last_slot, sequence.n_computed)
        for sequence, place in turn.admitted:
            if sequence.saved is not None:
                self.runner.restore(place.slot, sequence.saved)
                sequence.saved, sequence.is_paused = None, False
            elif place.copy_from is not None:
                self.runner.copy(place.copy_from, place.slot, place.n_cached)
        drafts = 0 < self._most_drafting >= len(turn.decoding)
        drafted = self._drafts(turn.decoding) if drafts else {}
        self._verify(drafted)
        if plain := [sequence for sequence in turn.decoding if sequence not in drafted]:
            self._decode(plain)
        for group in self._groups(turn.prefilling):
            self._prefill(group, drafts)
        with self._changed:
            for sequence in [sequence for sequence in self._scheduler.running if sequence.finished]:
                self._scheduler.release(sequence)
            if self._scheduler.idle:
                self._changed.notify_all()

    def _decode(self, sequences: list[Sequence]) -> None:
        """Generate one token for each sequence."""
        logits = self.runner.decode([_step(sequence) for sequence in sequences])
        for sequence in sequences:
            sequence.n_computed += 1
        self._add_tokens(sequences, logits)

    def _drafts(self, sequences: list[Sequence]) -> dict[Sequence, list[int]]:
        """The drafts of the sequences that have one."""
        drafts = {}
        for sequence in sequences:
            if sequence.agreeing is not None:
                continue
            if draft := self._draft_of(sequence):
                drafts[sequence] = draft
        return drafts

    def _draft_of(self, sequence: Sequence) -> list[int]:
        if sequence.drafting is None:
            sequence.drafting = self._lookups.begin(self._prompt(sequence), self._written_before(sequence))
        return sequence.drafting.draft(sequence.ids, sequence.n_left - 1, is_prompt=sequence.n_to_prefill > 0)

    def _first_draft(self, sequence: Sequence, drafts: bool) -> SequenceType[int]:
        """What may follow the prompt. It is verified with the prompt's last tokens, so it costs no step. If the text
        must spell the prompt's end again, the draft does so, or else consists of the tokens that were removed."""
        draft = self._draft_of(sequence) if drafts and not sequence.echo else []
        if draft and sequence.may_begin_with(draft[0]):
            return draft
        if sequence.drafting is not None:
            sequence.drafting.withdraw()
        return sequence.taken_back

    def _prompt(self, sequence: Sequence) -> list[int]:
        return in_order_of_writing(self.tokenizer, sequence.ids[: sequence.n_prompt])

    def _written_before(self, sequence: Sequence) -> WrittenTexts | None:
        """Earlier texts of the session. None if whether a text is drafted must depend on the text alone."""
        return self._written.of(sequence.session) if self._written is not None and sequence.session else None

    def _note_end(self, sequence: Sequence) -> None:
        written = self._written_before(sequence)
        if written is not None and len(sequence.ids) > sequence.n_prompt:
            written.add([*self._prompt(sequence)[-CONTEXT:], *sequence.ids[sequence.n_prompt :]])
        self._on_end(sequence)

    def _verify(self, drafted: dict[Sequence, list[int]]) -> None:
        """Add the correct tokens of the drafts, and one more to each sequence."""
        portions = [
            _portion(sequence, [sequence.ids[-1], *draft], len(draft) + 1) for sequence, draft in drafted.items()
        ]
        for (sequence, draft), logits in zip(drafted.items(), self._logits(portions), strict=True):
            sequence.n_computed += 1
            sequence.n_drafted += len(draft)
            self._follow(sequence, draft, logits)

    def _logits(self, portions: SequenceType[Portion]) -> Iterator[Logits]:
        """Prefill ``portions``, in one run if the runner can."""
        if self.runner.prefill_together is not None and len(portions) > 1:
            yield from self.runner.prefill_together(portions)
        else:
            for portion in portions:
                yield self.runner.prefill(*portion)

    def _follow(self, sequence: Sequence, draft: SequenceType[int], logits: Logits) -> None:
        """Add a token from each row of ``logits`` while the draft is correct."""
        logits = logits[:, : self.tokenizer.vocab_size]
        for n_right in range(len(draft) + 1):
            row = logits[n_right : n_right + 1]
            sequence.expected = draft[n_right] if n_right < len(draft) else -1
            if n_right < len(draft) and (ids := sequence.agreeing_behind(draft[n_right])) is not None:
                row = foresee(row, draft[n_right], logits[n_right + 1], ids)
            self._add_tokens([sequence], row)
            if sequence.finished or n_right == len(draft) or sequence.ids[-1] != draft[n_right]:
                break
            sequence.n_computed += 1
        sequence.expected = -1

    def _groups(self, prefilling: list[Sequence]) -> list[list[Sequence]]:
        """Sequences whose next chunks are read in one run: all rows of a run are as long as the longest."""
        if self.runner.prefill_together is None:
            return [[sequence] for sequence in prefilling]
        groups: list[list[Sequence]] = []
        for sequence in sorted(prefilling, key=_n_to_read):
            fits = groups and _n_to_read(sequence) <= min(_LONGEST_TOGETHER, 2 * _n_to_read(groups[-1][0]))
            if fits:
                groups[-1].append(sequence)
            else:
                groups.append([sequence])
        return groups

    def _prefill(self, sequences: list[Sequence], drafts: bool) -> None:
        """Prefill the next chunk of each prompt; after its last chunk, generate a token."""
        chunks = [sequence.ids[sequence.n_computed : sequence.n_computed + PROMPT_CHUNK] for sequence in sequences]
        drafted = [
            self._first_draft(sequence, drafts) if sequence.n_to_prefill == len(chunk) else ()
            for sequence, chunk in zip(sequences, chunks, strict=True)
        ]
        portions = [
            _portion(sequence, [*chunk, *draft], (len(chunk) if sequence.echo else 1) + len(draft))
            for sequence, chunk, draft in zip(sequences, chunks, drafted, strict=True)
        ]
        read = zip(sequences, chunks, drafted, self._logits(portions), strict=True)
        for sequence, chunk, draft, logits in read:
            self._take_up(sequence, chunk, draft, logits)

    def _take_up(self, sequence: Sequence, chunk: list[int], draft: SequenceType[int], logits: Logits) -> None:
        """Continue ``sequence`` after a prefilled ``chunk`` of its prompt."""
        if sequence.echo:
            following = sequence.ids[sequence.n_computed + 1 : sequence.n_computed + 1 + len(chunk)]
            logits_before = logits[: len(following), : self.tokenizer.vocab_size]
            with _Alone(sequence):
                sequence.add_scores(score(logits_before, following, sequence.sampler.params.top_logprobs))
        sequence.n_computed += len(chunk)
        if sequence.n_to_prefill == 0 and not sequence.finished:
            sequence.n_drafted += len(draft) if draft is not sequence.taken_back else 0
            self._follow(sequence, draft, logits[len(logits) - len(draft) - 1 :])

    def _add_tokens(self, sequences: list[Sequence], logits: Logits) -> None:
        """Sample the next token of each sequence from its row of ``logits``."""
        logits = logits[:, : self.tokenizer.vocab_size]
        for sequence, row in zip(sequences, logits, strict=True):
            if sequence.looks_first:
                sequence.look_at(row)
        samplers, contexts = [sequence.sampler for sequence in sequences], [sequence.ids for sequence in sequences]
        outcomes = choose(logits, samplers, contexts, [sequence.agreeing for sequence in sequences])
        for sequence, outcome in zip(sequences, outcomes, strict=True):
            with _Alone(sequence):
                if isinstance(outcome, Exception):
                    raise outcome
                if sequence.n_left:
                    sequence.add(outcome)
                else:
                    sequence.finish("length")

    def _abandon(self, reason: FinishReason, message: str = "") -> None:
        """Finish all unfinished sequences."""
        for sequence in self._scheduler.everyone():
            if not sequence.finished:
                sequence.finish(reason, message)
        for sequence in list(self._scheduler.running):
            self._scheduler.forget(sequence)
        self._scheduler.clear_waiting()
        self._changed.notify_all()


class _Alone:
    """Contain a failure: it ends ``sequence``, but no other."""

    __slots__ = ("_sequence",)

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        log.error("a text could not be continued", exc_info=error)
        self._sequence.finish("error", f"The text could not be continued: {as_sentence(error)}", with_held=False)
        return True


def _n_to_read(sequence: Sequence) -> int:
    return min(sequence.n_to_prefill, PROMPT_CHUNK)


def _portion(sequence: Sequence, token_ids: list[int], n_logits: int) -> Portion:
    assert sequence.slot is not None
    return Portion(sequence.slot, token_ids, sequence.n_computed, n_logits)


def _step(sequence: Sequence) -> Step:
    assert sequence.slot is not None
    return Step(sequence.slot, sequence.ids[-1], sequence.n_computed)
