"""The original prompt of code whose gaps have been filled, and which may have been edited since."""

from __future__ import annotations

from itertools import pairwise

from app.generation.records import Generation


def unfilled(generation: Generation, index: int, code: str) -> tuple[str, ...]:
    """The user's parts of ``code``, which showed the candidate number ``index`` of ``generation``: the code split at
    the model's texts.

    If the user has edited the code, the model's texts are located again; edits inside them count as the model's.
    """
    shown = generation.code(index)
    if code == shown:
        return generation.parts
    same_before = _n_same(shown, code)
    same_behind = min(_n_same(shown[::-1], code[::-1]), min(len(shown), len(code)) - same_before)
    edited, added = len(shown) - same_behind, len(code) - len(shown)
    spans = [
        (
            begin + added if begin >= edited else min(begin, same_before),
            end if end <= same_before else max(end, edited) + added,
        )
        for begin, end in generation.spans(index)
    ]
    if len(generation.parts) == 1:
        goes_on = not spans or code[spans[0][1] :].strip()  # the user's own code follows the generated text
        return (code if goes_on else code[: spans[0][0]],)
    ends = [0, *(place for span in spans for place in span), len(code)]
    # in order, even where several spans were edited together
    ends = [max(ends[: position + 1]) for position in range(len(ends))]
    return tuple(code[begin:end] for begin, end in list(pairwise(ends))[::2])


def _n_same(first: str, second: str) -> int:
    """The length of the longest common prefix."""
    length = min(len(first), len(second))
    return next((index for index in range(length) if first[index] != second[index]), length)
