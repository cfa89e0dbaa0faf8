"""The data of a snippet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.generation.task import Task
from santacoder.engine.token_healing import is_on_by_default
from santacoder.fim import FimOrder
from santacoder.sampling import MAX_SEED
from santacoder.tokenizer import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX


@dataclass(frozen=True)
class Call:
    """A task for the model ``repo_id`` at ``revision``: on the server at ``url``, or from the folder ``store``.

    Without a folder, the model is in the user's cache or on the Hub. The task has an order if it has a gap.
    """

    task: Task
    repo_id: str
    revision: str
    url: str
    store: str | None
    runner: str = ""
    """The runner that computed the shown text, as the page names it; empty if there is none."""
    open_order: FimOrder | None = None
    """The order in which the server reads prefix and suffix as separate fields; None if that is unknown."""

    @property
    def model(self) -> str:
        return f"{self.repo_id}@{self.revision}"

    @property
    def prefix(self) -> str:
        return self.task.parts[0]

    @property
    def suffix(self) -> str | None:
        """The code after the gap; None if the code is continued at its end."""
        return "".join(self.task.parts[1:]) if len(self.task.parts) > 1 else None

    @property
    def has_several_gaps(self) -> bool:
        return len(self.task.parts) > 2

    @property
    def sends_suffix(self) -> bool:
        """Whether prefix and suffix are separate fields, which the server reads in the order of the task; otherwise the
        prompt is one text with sentinel tokens. To some protocols an empty suffix is no gap."""
        return bool(self.suffix and self.task.parts[-1]) and self.task.fim_order == self.open_order

    @property
    def prompt(self) -> str:
        """The whole prompt as text, with sentinel tokens if there is a gap."""
        if self.suffix is None:
            return self.prefix
        before, between, after = self.marks
        first, second = (self.prefix, self.suffix) if self.task.fim_order == "psm" else (self.suffix, self.prefix)
        return f"{before}{first}{between}{second}{after}"

    @property
    def marks(self) -> tuple[str, str, str]:
        """The sentinels before, between and after prefix and suffix, in the order of the task."""
        if self.task.fim_order == "psm":
            return FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE
        return FIM_PREFIX + FIM_SUFFIX, FIM_MIDDLE, ""

    @property
    def joined_prompt(self) -> str:
        """Python code that joins the prompt from the variables ``code`` and ``suffix``."""
        before, between, after = self.marks
        first, second = ("code", "suffix") if self.task.fim_order == "psm" else ("suffix", "code")
        return f'f"{before}{{{first}}}{between}{{{second}}}{after}"'

    @property
    def ends(self) -> dict[str, Any]:
        """The server's own fields for where the text ends, without those at their defaults."""
        sampling = self.task.sampling
        fields: dict[str, Any] = {}
        if self.suffix is not None:
            fields["fit_gap"] = True
        elif sampling.stop_at != "none":
            fields |= {"stop_at": sampling.stop_at, "language": self.task.language}
        return fields | ({"stop_repetition": True} if sampling.stop_repetition else {})

    @property
    def healing(self) -> list[bool]:
        """Whether token healing applies to the text, or to each of the gaps."""
        parts, is_on = self.task.parts, self.task.sampling.token_healing
        if self.suffix is None:
            return [is_on]
        return [is_on and is_on_by_default(parts[gap], "".join(parts[gap + 1 :])) for gap in range(len(parts) - 1)]

    @property
    def beginning(self) -> dict[str, Any]:
        """The same for how the text begins, of a single text or gap."""
        default = self.suffix is None or (self.sends_suffix and is_on_by_default(self.prefix, self.suffix))
        return {} if self.has_several_gaps or self.healing == [default] else {"token_healing": self.healing[0]}

    @property
    def seeds(self) -> list[int | None]:
        """One seed per candidate."""
        seed = self.task.sampling.seed
        return [None if seed is None else (seed + index) % (MAX_SEED + 1) for index in range(self.n_candidates)]

    @property
    def n_candidates(self) -> int:
        """The number of candidates; one at temperature 0, where all would be the same."""
        return self.task.n if self.task.sampling.temperature else 1
