"""Hives and the frames in them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class BroodFrame:
    """A frame of a hive. Weights are in grams."""

    number: int
    honey_grams: int = 0
    is_capped: bool = False

    def ripe_honey(self) -> int:
        """The grams of honey that can be taken: only capped honey is ripe."""
        return self.honey_grams if self.is_capped else 0


@dataclass
class Hive:
    """A hive with a queen and frames."""

    name: str
    queen_year: int
    frames: list[BroodFrame] = field(default_factory=list)

    def add_frame(self, frame: BroodFrame) -> None:
        """Hang a frame into the hive."""
        self.frames.append(frame)

    def ripe_honey(self) -> int:
        """The grams of ripe honey in all frames."""
        return sum(frame.ripe_honey() for frame in self.frames)

    def queen_age(self, year: int) -> int:
        """The age of the queen in years."""
        return year - self.queen_year

    def is_ready_for_harvest(self) -> bool:
        """Whether the hive has enough ripe honey."""
        return self.ripe_honey() >= 2_000
