"""Continuing a candidate from another token than the generated one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.generation.records import Alternative, Completion, Generation, Token
from santacoder.engine import accumulator
from santacoder.engine.engine import Engine
from santacoder.engine.line_ends import CrlfWriter, to_lf
from santacoder.engine.request import CompletionRequest, build_prompt
from santacoder.errors import UserError
from santacoder.tokenizer import Tokenizer


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


@dataclass(frozen=True)
class Opening:
    """The fixed beginning of a candidate: filled gaps, and the first tokens of the next gap."""

    completions: tuple[Completion, ...] = ()
    tokens: tuple[Token, ...] = ()


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


def request_after(
    opening: tuple[Token, ...], request: CompletionRequest, engine: Engine
) -> tuple[CompletionRequest, tuple[Token, ...]]:
    """``request`` with the first tokens of its output given: they are appended to the prompt as the model sees it.

    Raises:
        UserError: the model has no such tokens.
    """
    if not all(0 <= token.id < engine.tokenizer.vocab_size for token in opening):
        raise UserError("The text has tokens that this model does not have.")
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
        written=tuple((token.id, to_lf(token.text)) for token in opening if not token.respelled),
        typed=prompt.typed[len(engine.tokenizer.decode_bytes(begun)) :],
    )
    return after, opening
