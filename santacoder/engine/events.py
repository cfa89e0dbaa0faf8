"""The events that a running request emits."""

from __future__ import annotations

from typing import Literal, NamedTuple

FinishReason = Literal["stop", "length", "cancelled", "error"]
EndedBy = Literal["end_of_text", "stop_sequence", "stop_at", "repetition", "suffix", "min_logprob"]
"""What ended a text whose reason is ``stop``."""


class PromptToken(NamedTuple):
    """One token of an echoed prompt was read. ``logprob`` is its log-probability given the tokens before it, in nats;
    the first token has none. ``text`` is held back while it could be the beginning of an unfinished character.
    """

    text: str
    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


class TokenEvent(NamedTuple):
    """One token was sampled.

    ``text`` may now be shown. It lags behind the token while it could be the beginning of a stop sequence or of an
    unfinished character. ``logprob`` and ``top`` (id, logprob) are the model's own, before temperature and truncation,
    in nats.

    With token healing, the first tokens spell the end of the prompt again. ``n_typed`` is how many of its bytes were
    left before this token. Log-probabilities are then relative to the tokens that agree with the prompt.
    """

    text: str
    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    n_typed: int = 0


class Finished(NamedTuple):
    """The last event. ``text`` is what had been held back; ``message`` says what went wrong if ``reason`` is error.
    ``cut`` was generated but is not part of the text, because it repeats what comes before or after it.
    """

    reason: FinishReason
    text: str = ""
    message: str = ""
    ended_by: EndedBy | None = None
    cut: str = ""


Event = PromptToken | TokenEvent | Finished
