"""Candidates in progress: gap after gap, converting the engine's events to tokens and text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.generation import Alternative, Candidate, Completion, Generation, Language, Token
from santacoder.engine import accumulator
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import Engine, Stream
from santacoder.engine.events import Event, Finished, FinishReason
from santacoder.engine.line_ends import CrlfWriter, to_lf
from santacoder.engine.request import CompletionRequest, build_prompt
from santacoder.engine.token_healing import is_on_by_default
from santacoder.errors import UserError
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


@dataclass(frozen=True)
class Opening:
    """The fixed beginning of a candidate: filled gaps, and the first tokens of the next gap."""

    completions: tuple[Completion, ...] = ()
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Place:
    """The position of an alternative: indices of the candidate, the gap, the token in it, and the alternative."""

    candidate: int
    gap: int
    token: int
    alternative: int

    def opening(self, generation: Generation) -> Opening:
        """The candidate up to this position, with the alternative chosen.

        Raises:
            UserError: the position does not exist.
        """
        if min(self.candidate, self.gap, self.token, self.alternative) < 0:
            raise UserError("There is no such token.")
        try:
            completions = generation.candidates[self.candidate].completions
            tokens = completions[self.gap].tokens
            replaced = tokens[self.token]
            chosen = replaced.top[self.alternative]
        except IndexError as error:
            raise UserError("There is no such token.") from error
        token = Token(chosen.text, chosen.id, chosen.logprob, replaced.top)
        return Opening(completions[: self.gap], (*tokens[: self.token], token))


class CandidateDraft:
    """A candidate in progress. ``begin`` starts the next gap, and ``add`` processes an event of the engine.

    Args:
        engine: generates the texts.
        parts: the code around the gaps; a single part is continued at its end.
        sampling: sampling parameters of each gap.
        fim_order: order of prefix and suffix in the prompt.
        language: language of the code.
        opening: the fixed beginning of the candidate.
        deliver: called with each event of the engine, on the engine's thread.
        client: name by which the engine schedules texts fairly.
    """

    def __init__(
        self,
        engine: Engine,
        parts: tuple[str, ...],
        sampling: SamplingParams,
        fim_order: FimOrder,
        language: Language,
        opening: Opening,
        deliver: Callable[[Event], None],
        client: str = "",
    ) -> None:
        self._engine = engine
        self._parts = parts
        self._sampling = sampling
        self._fim_order = fim_order
        self._language = language
        self._deliver = deliver
        self._client = client
        self._opening = opening.tokens
        self._completions = list(opening.completions)
        self._draft: _CompletionDraft | None = None
        self._stream: Stream | None = None
        self.n_prompt = 0
        self.notices: tuple[str, ...] = ()
        self.begin()

    @property
    def finished(self) -> bool:
        return self._draft is None

    @property
    def candidate(self) -> Candidate:
        """The candidate so far; an unfinished gap counts as cancelled."""
        unfinished = [self._draft.completion("cancelled")] if self._draft else []
        return Candidate((*self._completions, *unfinished))

    def begin(self) -> None:
        """Start generating the next gap.

        Raises:
            EngineBusy: the queue is full.
            UserError: the request cannot be run; the message is a sentence.
        """
        tokenizer = self._engine.tokenizer
        opening, self._opening = self._opening, ()
        request, opening = self._request(opening)
        self._draft = _CompletionDraft(tokenizer, opening, self._sampling.seed or 0, crlf=request.crlf)
        if opening and opening[-1].id in tokenizer.special_ids:
            self._deliver(Finished("stop"))
            return
        self._stream = self._engine.submit(request, self._deliver, client=self._client)
        self.notices = (*self.notices, *(notice for notice in self._stream.notices if notice not in self.notices))
        self.n_prompt = self.n_prompt or self._stream.n_prompt

    def add(self, event: Event) -> None:
        """Process ``event``; if it ends a gap, start the next one.

        Raises:
            EngineBusy: the queue is full.
            UserError: the model could not be run, or not for the next gap; the message is a sentence.
        """
        assert self._draft is not None
        self._draft.add(event)
        if not isinstance(event, Finished):
            return
        if event.reason == "error":
            raise UserError(event.message)
        self._completions.append(replace(self._draft.completion(event.reason), ended_by=event.ended_by, cut=event.cut))
        self._draft = None
        if len(self._completions) < max(1, len(self._parts) - 1):
            self.begin()

    def cancel(self) -> None:
        if self._stream is not None:
            self._stream.cancel()

    def _request(self, opening: tuple[Token, ...]) -> tuple[CompletionRequest, tuple[Token, ...]]:
        """The request for the next gap, and ``opening`` with the text that each of its tokens adds."""
        gap = len(self._completions)
        before = [
            text for pair in zip(self._parts, self._completions, strict=False) for text in (pair[0], pair[1].text)
        ]
        prefix = "".join([*before, self._parts[gap]])
        suffix = "".join(self._parts[gap + 1 :]) if len(self._parts) > 1 else None
        # only what the user has typed may end inside a token
        healing = self._sampling.token_healing and is_on_by_default(self._parts[gap], suffix)
        sampling = replace(self._sampling, token_healing=healing)
        if suffix is not None:  # the code after a gap ends it
            sampling = replace(sampling, stop_at="none")
        request = CompletionRequest(
            prefix, suffix, sampling, self._fim_order, language=self._language, fit_gap=suffix is not None
        )
        return _after(opening, request, self._engine) if opening else (request, ())


class _CompletionDraft:
    """The text and tokens of one gap so far: those of ``opening``, then the generated ones."""

    def __init__(self, tokenizer: Tokenizer, opening: tuple[Token, ...], seed: int, *, crlf: bool) -> None:
        self._special_ids = tokenizer.special_ids
        self._seed = seed
        self._opening = opening
        self._written = Accumulator(tokenizer, [token.id for token in opening], crlf=crlf, with_typed=True)

    def add(self, event: Event) -> None:
        self._written.add(event)

    def completion(self, reason: FinishReason) -> Completion:
        text = "".join(token.text for token in self._opening) + self._written.text
        return Completion(text, (*self._opening, *self._tokens()), reason, self._seed)

    def _tokens(self) -> Iterator[Token]:
        for index, token in enumerate(self._written.tokens):
            text = "" if token.id in self._special_ids else token.text
            respelled = index < self._written.n_typed
            yield Token(text, token.id, token.logprob, alternatives(token), respelled)


def _in_place(opening: tuple[Token, ...], tokenizer: Tokenizer, n_typed: int, *, crlf: bool) -> tuple[Token, ...]:
    """``opening`` with the text that each token adds at its position, since a chosen alternative only had its own text.

    The first ``n_typed`` bytes belong to the end of the prompt.
    """
    decoder, line_ends = tokenizer.stream_decoder(), CrlfWriter()

    def placed(token: Token) -> Token:
        nonlocal n_typed
        if token.id in tokenizer.special_ids:
            return replace(token, text="", respelled=False)
        n_bytes = len(tokenizer.decode_bytes([token.id]))
        respelled = 0 < n_bytes <= n_typed
        added = decoder.feed(token.id, n_typed)
        n_typed = max(0, n_typed - n_bytes)
        return replace(token, text=line_ends.feed(added) if crlf else added, respelled=respelled)

    return tuple(map(placed, opening))


def alternatives(token: accumulator.Token) -> tuple[Alternative, ...]:
    """The most likely tokens at the position of ``token``, to store and show."""
    return tuple(Alternative(text, token_id, logprob) for token_id, text, logprob in token.top)


def _after(
    opening: tuple[Token, ...], request: CompletionRequest, engine: Engine
) -> tuple[CompletionRequest, tuple[Token, ...]]:
    """``request`` with the first tokens of its output given: they are appended to the prompt as the model sees it."""
    prompt = build_prompt(request, engine.tokenizer, engine.runner.n_positions, healing=engine.healing)
    opening = _in_place(opening, engine.tokenizer, len(prompt.typed), crlf=request.crlf)
    begun = [token.id for token in opening]
    n_new = sum(not token.respelled for token in opening)
    after = CompletionRequest(
        request.prefix,
        request.suffix,
        replace(request.sampling, max_new_tokens=max(0, prompt.max_new_tokens - n_new)),
        prefix_ids=(*prompt.ids, *begun),
        crlf=request.crlf,
        language=request.language,
        fit_gap=request.fit_gap,
        is_begun=True,
        written=to_lf("".join(token.text for token in opening)),
        typed=prompt.typed[len(engine.tokenizer.decode_bytes(begun)) :],
    )
    return after, opening
