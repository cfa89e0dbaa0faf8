"""Generations of several revisions from the same code, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from app.generation import Generation, parsed
from santacoder.errors import UserError


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
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Comparison:
        """Parse a stored comparison.

        Raises:
            UserError: the JSON is not a comparison; the message is a sentence that names the field.
        """
        return parsed(_ADAPTER, text, "comparison")


_ADAPTER = TypeAdapter(Comparison)
