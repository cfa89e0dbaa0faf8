"""What a running request reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "cancelled", "error"]
EndedBy = Literal["end_of_text", "stop_sequence", "stop_at", "repetition", "suffix", "min_logprob"]
"""What ended a text whose reason is ``stop``."""


@dataclass(frozen=True)
class PromptToken:
    """One token of an echoed prompt was read. ``logprob`` is that of the token after those before it, in nats; the
    first has none. ``text`` lags behind while it could be the beginning of an unfinished character.
    """

    text: str
    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class TokenEvent:
    """One token was chosen.

    ``text`` is what may now be shown: it lags behind the token while it could be the beginning of a stop sequence or
    of an unfinished character. ``logprob`` and ``top`` (id, logprob) are the model's own, before temperature and
    truncation, in nats.

    With token healing, the first tokens spell the end of the prompt again, of which ``n_typed`` bytes were left before
    this one. Log-probabilities are then those among the tokens that agree with it.
    """

    text: str
    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    n_typed: int = 0


@dataclass(frozen=True)
class Finished:
    """The last event. ``text`` is what had been held back; ``message`` says what went wrong if ``reason`` is error.
    ``cut`` was written and belongs to no text, as it repeats what stands before or behind it.
    """

    reason: FinishReason
    text: str = ""
    message: str = ""
    ended_by: EndedBy | None = None
    cut: str = ""


Event = PromptToken | TokenEvent | Finished
