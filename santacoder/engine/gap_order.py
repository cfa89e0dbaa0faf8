"""Which order a prompt with a gap has, where the user has chosen none: prefix first (psm) or suffix first (spm)."""

from __future__ import annotations

from santacoder.engine.gap_start import is_inside_line
from santacoder.fim import FimOrder

# for requests without an order, if the model does not say which order it fills best: it suits prefix caching
DEFAULT_ORDER: FimOrder = "spm"


def automatic_order(prefix: str, suffix: str, recorded: FimOrder | None) -> FimOrder:
    """The order for a gap, if the user has chosen none: the one that the revision fills best, as ``recorded`` in it.

    Without a record it is suffix first for a gap that continues the line before it, or a word at its end, so that the
    text before the gap is continued like any other (docs/completion.md).
    """
    continues = is_inside_line(prefix, suffix) or prefix[-1:].isalnum() or prefix.endswith("_")
    return recorded or ("spm" if continues else "psm")
