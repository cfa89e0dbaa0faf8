"""The display order of candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from app.generation.records import Candidate
from santacoder.engine.ends.overlap import repeats_line_before


def ranked(candidates: Sequence[Candidate], parts: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Candidates with different texts, sorted by the mean log-probability of their tokens, highest first. Candidates
    that only repeat the line before a gap come last. Of candidates with equal texts, the most likely is kept."""
    groups: dict[tuple[str, ...], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(tuple(completion.text for completion in candidate.completions), []).append(candidate)
    merged = [replace(max(group, key=_mean_logprob), n_alike=len(group)) for group in groups.values()]
    return tuple(sorted(merged, key=lambda candidate: (_repeats(candidate, parts), -_mean_logprob(candidate))))


def _mean_logprob(candidate: Candidate) -> float:
    logprobs = [token.logprob for token in candidate.written if token.logprob is not None]
    return sum(logprobs) / len(logprobs) if logprobs else -math.inf


def _repeats(candidate: Candidate, parts: tuple[str, ...]) -> bool:
    before = ""
    for part, completion in zip(parts, candidate.completions, strict=False):
        before += part
        if len(parts) > 1 and repeats_line_before(before, completion.text):
            return True
        before += completion.text
    return False
