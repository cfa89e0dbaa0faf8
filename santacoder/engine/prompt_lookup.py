"""Prompt lookup: draft the next tokens from an earlier occurrence of the last ones, and verify them in one step.

Saxena, "Prompt Lookup Decoding" (2023). Verification is that of speculative decoding (Leviathan et al., arXiv
2211.17192) with a deterministic draft: each token is sampled as usual, and the draft is accepted as long as it agrees.

With most runners, verifying a token and decoding it differ in the last bits. To keep texts batch-invariant, whether
there is a draft then depends only on the text, never on the clock or on other texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from santacoder.engine.written_texts import WrittenTexts

TRUSTED = 3
"""Tokens in a row that a lookup must have predicted before it is verified; the first of a text needs no evidence."""
# With santacoder/mini on two Zen 5 cores, one text alone is written at 1.33 times the speed without drafts if 3 tokens
# are trusted, and at 1.22 times if 11 are. With 64 texts it is 0.84 and 0.91.
TRUSTED_ALWAYS = 11
"""The same where nothing else may decide whether there is a draft, not even how many texts are written. The first draft
of a text then needs evidence, too."""
SHORTEST, LONGEST = 7, 15
"""Tokens of a draft, unless the text may not become that long. Verifying 16 takes 1.4 times as long as verifying 8."""
_NGRAMS = (4, 3, 2)
# The prompts of somebody who types differ in their last tokens. What was found in a prompt is kept up to a multiple of
# the first number that leaves out at least the second.
_KEPT_STEP, _KEPT_BEFORE_END = 64, 32
_MOST_KEPT = 8


class Drafting:
    """Predicts each token of a text from an earlier occurrence of the tokens before it, and drafts once the
    predictions have been right. The occurrence is in the text, or else in ``others``."""

    def __init__(self, trusted: int = TRUSTED) -> None:
        self._trusted = trusted
        self._ids: list[int] = []
        self._others: WrittenTexts | None = None
        self._n_right = 0
        self._needs_evidence = trusted > TRUSTED
        self._source = self._ids  # where the prediction is from
        self._next = -1  # where in it the predicted next token stands; -1 if there is no prediction
        self._after: dict[tuple[int, ...], int] = {}  # where the latest occurrence of some tokens ends

    def draft(self, ids: Sequence[int], room: int, *, is_prompt: bool = False) -> list[int]:
        """Tokens that probably follow ``ids``, at most ``room``, if enough have been predicted in a row; the more were,
        the longer the draft. The first draft needs no evidence, unless it is from the prompt itself and nothing has
        been written after that. If the text ends before the draft does, the draft continues with its own beginning."""
        self._follow(ids)
        if self._others is not None and (self._next < 0 or not self._n_right):
            self._look_at_others(self._others)
        length = min(max(SHORTEST, self._n_right), LONGEST, room)
        if not 0 <= self._next < len(self._source) or length <= 0:
            return []
        is_own = self._source is self._ids
        if self._n_right < self._trusted and (self._needs_evidence or (is_prompt and is_own)):
            return []
        self._needs_evidence = True
        if not is_own:
            return self._source[self._next : self._next + length]
        period = len(self._ids) - self._next
        return [self._ids[self._next + index % period] for index in range(length)]

    def withdraw(self) -> None:
        """The first draft was not verified."""
        self._needs_evidence = self._trusted > TRUSTED

    def _follow(self, ids: Sequence[int]) -> None:
        """Compare the tokens that are new at the end of ``ids`` with the predictions."""
        for token_id in ids[len(self._ids) :]:
            self._ids.append(token_id)
            end = len(self._ids)
            if 0 <= self._next < len(self._source) and self._source[self._next] == token_id:
                self._n_right += 1
                self._next += 1
            else:
                self._n_right, self._next = 0, -1
            for size in _NGRAMS:
                if end < size:
                    continue
                ending = tuple(self._ids[end - size :])
                if self._next < 0:
                    self._source, self._next = self._ids, self._after.get(ending, -1)
                self._after[ending] = end

    def _look_at_others(self, others: WrittenTexts) -> None:
        if (found := others.after(self._ids)) is not None:
            self._source, self._next = found

    def _copy(self) -> Drafting:
        copied = copy(self)
        copied._ids, copied._after = self._ids.copy(), self._after.copy()
        copied._source = copied._ids  # what is copied has seen no other text
        return copied


class PromptLookups:
    """Begins a :class:`Drafting` with what was found in the same beginning of an earlier prompt, so that a prompt of
    many tokens need not be searched again at every keystroke. Not thread-safe."""

    def __init__(self, trusted: int = TRUSTED) -> None:
        self._new = Drafting(trusted)
        self._kept: list[tuple[list[int], Drafting]] = []  # beginnings of prompts, the latest at the end

    def begin(self, prompt: Sequence[int], others: WrittenTexts | None = None) -> Drafting:
        """A drafting for a text after ``prompt``, from its own tokens and those of ``others``."""
        known = [(ids, found) for ids, found in self._kept if ids == prompt[: len(ids)]]
        beginning, found = max(known, key=lambda each: len(each[0]), default=([], self._new))
        n_kept = max(0, len(prompt) - _KEPT_BEFORE_END) // _KEPT_STEP * _KEPT_STEP
        if n_kept > len(beginning):
            found = found._copy()
            found._follow(prompt[:n_kept])
            self._kept = [*self._kept[1 - _MOST_KEPT :], (list(prompt[:n_kept]), found)]
        drafting = found._copy()
        drafting._follow(prompt)
        drafting._others = others
        return drafting
