"""A generation, and a comparison of several, as plain data to show, keep and share."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Annotated, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from santacoder.engine.events import EndedBy, FinishReason
from santacoder.errors import UserError
from santacoder.fim import FimOrder
from santacoder.languages import Language
from santacoder.sampling import SamplingParams

Pane = Literal["complete", "infill"]
T = TypeVar("T")
MARK = "<FILL_HERE>"
LogProb = Annotated[float, Field(allow_inf_nan=False)]
"""The model's own log-probability in nats, before temperature and truncation."""


@dataclass(frozen=True)
class Alternative:
    """A token that could have been sampled instead. For a special token, ``text`` is its name."""

    text: str
    id: int
    logprob: LogProb


@dataclass(frozen=True)
class Token:
    """A token of a text, and the most likely tokens at its position (usually including itself), most likely first.

    The texts of all tokens joined are the text. If a character takes several tokens, only the last has text; a special
    token that ends the text has none. The first token of a prompt has no ``logprob``. A ``respelled`` token only spells
    the end of the prompt again, and has no text either.
    """

    text: str
    id: int
    logprob: LogProb | None
    top: tuple[Alternative, ...] = ()
    respelled: bool = False


@dataclass(frozen=True)
class Completion:
    """The text generated at one position. ``seed`` is the seed that was used, even if none was given.

    A special token that ends the text is the last of ``tokens``; tokens of a stop sequence are not included. ``cut``
    was generated after the text, and cut off because it repeats what comes before or after it. ``n_accepted`` of the
    tokens were accepted from drafts, which changes only the speed.
    """

    text: str
    tokens: tuple[Token, ...]
    reason: FinishReason
    seed: int
    ended_by: EndedBy | None = None
    cut: str = ""
    n_accepted: int = field(default=0, compare=False)

    @property
    def written(self) -> tuple[Token, ...]:
        """``tokens`` without those that spell the prompt's end again."""
        return tuple(token for token in self.tokens if not token.respelled)


@dataclass(frozen=True)
class Candidate:
    """One candidate: a completion for each gap so far, in order. ``n_alike`` candidates had the same texts."""

    completions: tuple[Completion, ...]
    n_alike: Annotated[int, Field(ge=1)] = 1

    @property
    def written(self) -> tuple[Token, ...]:
        """The tokens of all gaps, in order, without those that spell a prompt's end again."""
        return tuple(token for completion in self.completions for token in completion.written)

    def text_of_gap(self, index: int) -> str | None:
        """The text of a gap; None if it has not been reached."""
        return self.completions[index].text if index < len(self.completions) else None


@dataclass(frozen=True)
class Generation:
    """Candidates for the same code.

    ``parts`` are the user's code, split at the gaps: a single part is continued at its end; n + 1 parts have n gaps
    between them, each filled after the gaps before it. ``revision`` is the branch or commit that was chosen, ``sha``
    the exact commit. ``seconds_to_first_token`` counts from the press of the button to the first candidate's first
    token; ``tokens_per_second`` is the total over all candidates.
    """

    pane: Pane
    language: Language
    parts: tuple[str, ...]
    sampling: SamplingParams
    fim_order: FimOrder
    repo_id: str
    revision: str
    sha: str
    runner: str
    candidates: tuple[Candidate, ...]
    n_prompt: int
    seconds_to_first_token: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    tokens_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    def __post_init__(self) -> None:
        if not self.parts:
            raise UserError("A generation needs the code that it started from.")
        for candidate in self.candidates:
            if len(candidate.completions) > self.n_gaps:
                raise UserError(f"The code has {self.n_gaps} gap(s), but a candidate has {len(candidate.completions)}.")

    @property
    def n_gaps(self) -> int:
        return max(1, len(self.parts) - 1)

    def code(self, index: int) -> str:
        """The user's code with the candidate number ``index`` filled in; gaps it did not reach keep their marker."""
        texts = [completion.text for completion in self.candidates[index].completions]
        marks = [MARK] * (len(self.parts) - 1 - len(texts))
        return "".join(chain.from_iterable(zip_longest(self.parts, texts + marks, fillvalue="")))

    def spans(self, index: int) -> list[tuple[int, int]]:
        """The start and end of each of the candidate's texts in :meth:`code`, in characters."""
        spans, position = [], 0
        for part, completion in zip(self.parts, self.candidates[index].completions, strict=False):
            begin = position + len(part)
            position = begin + len(completion.text)
            spans.append((begin, position))
        return spans

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Generation:
        """Parse a stored generation.

        Raises:
            UserError: the JSON is not a generation; the message is a sentence that names the field.
        """
        return parsed(_ADAPTER, text, "generation")


def parsed(adapter: TypeAdapter[T], text: str | bytes, kind: str) -> T:
    """Parse stored JSON of the given ``kind``.

    Raises:
        UserError: the JSON does not match; the message is a sentence that names the field.
    """
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "its beginning"
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise UserError(f"This is not a stored {kind}: at {field}, {message}.") from error


_ADAPTER = TypeAdapter(Generation)


@dataclass(frozen=True)
class Comparison:
    """One generation per revision, in display order."""

    generations: tuple[Generation, ...]

    def __post_init__(self) -> None:
        if not self.generations:
            raise UserError("A comparison needs at least one generation.")
        if any(each.parts != self.first.parts for each in self.generations):
            raise UserError("The generations of a comparison must start from the same code.")

    @property
    def first(self) -> Generation:
        return self.generations[0]

    def to_json(self) -> str:
        return _COMPARISON_ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Comparison:
        """Parse a stored comparison.

        Raises:
            UserError: the JSON is not a comparison; the message is a sentence that names the field.
        """
        return parsed(_COMPARISON_ADAPTER, text, "comparison")


_COMPARISON_ADAPTER = TypeAdapter(Comparison)
