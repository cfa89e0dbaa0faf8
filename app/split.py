"""Which branch a client gets, where ``--split`` compares several branches by use."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from santacoder.errors import UserError

_SPACE = 2**64


def branch_of(client: str, weights: Mapping[str, float]) -> str:
    """The branch of ``client``, always the same: each branch has it with a probability in proportion to its weight.

    Weighted rendezvous hashing: if weights change, only clients of the branches that shrink move.
    Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (2005).
    """

    def score(branch: str) -> float:
        digest = hashlib.sha256(f"{client}\0{branch}".encode()).digest()
        return -weights[branch] / math.log((int.from_bytes(digest[:8], "big") + 0.5) / _SPACE)

    return max(weights, key=score)


def parse_split(text: str) -> dict[str, float]:
    """Weights by branch from ``main=50,fim=50``.

    Raises:
        UserError: it is written in another way.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        branch, _, number = (each.strip() for each in part.rpartition("="))
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not branch or not 0 < weight < math.inf:
            raise UserError(f"{part!r} is not BRANCH=WEIGHT with a weight above 0, as in main=50,fim=50")
        if branch in weights:
            raise UserError(f"the branch {branch!r} is named twice")
        weights[branch] = weight
    if len(weights) == 1:
        raise UserError("a split needs at least two branches, as in main=50,fim=50")
    return weights
