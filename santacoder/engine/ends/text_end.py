"""Everything that can end a text before the model ends it, as a pipeline."""

from __future__ import annotations

from typing import Protocol

from santacoder.engine.ends.overlap import SuffixOverlap
from santacoder.engine.ends.repetition import RepetitionEnd
from santacoder.engine.ends.stop_at import end_finder
from santacoder.engine.events import EndedBy
from santacoder.engine.request import CompletionRequest
from santacoder.engine.stop import StopFinder


class _Stage(Protocol):
    """Passes text on, and holds back what may not be part of it."""

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to show, and whether it has ended."""
        ...

    def finish(self) -> str:
        """The held-back text that is part of the text."""
        ...


class TextEnd:
    """Shows the text of ``request`` up to its end. ``ended_by`` says what ended it, once something has. ``cut`` is what
    was cut off because it repeated what comes before or after it."""

    def __init__(self, request: CompletionRequest) -> None:
        sampling = request.sampling
        self.ended_by: EndedBy | None = None
        self._repetition = RepetitionEnd(request.prefix) if sampling.stop_repetition else None
        self._stages: list[tuple[EndedBy, _Stage]] = [("stop_sequence", StopFinder(sampling.stop))]
        if (finder := end_finder(request.prefix, sampling.stop_at, request.language)) is not None:
            self._stages.append(("stop_at", finder))
        self._overlap = SuffixOverlap(request.suffix) if request.fit_gap and request.suffix else None
        if self._overlap is not None:
            self._stages.append(("suffix", self._overlap))
        self._n_shown_before = 0
        shown = "".join(self.feed(*token)[0] for token in request.written)
        # what is held back of the text generated earlier has been shown already, too
        self._n_shown_before = sum(len(text) for _, text in request.written) - len(shown)

    @property
    def cut(self) -> str:
        cut = self._overlap.cut if self._overlap is not None else ""
        if self._repetition is not None and self.ended_by == "repetition":
            cut += self._repetition.cut  # the end of the first copy may have been cut, too
        return cut[self._n_shown_before :]

    def feed(self, token_id: int, text: str) -> tuple[str, bool]:
        """The text that may be shown after ``token_id`` has added ``text``, and whether the text has ended."""
        if self.ended_by is not None:  # in the text generated earlier
            return "", True
        repeats = False
        if self._repetition is not None:
            text, repeats = self._repetition.feed(token_id, text)
        shown = self._shown(text, repeats)
        return shown, self.ended_by is not None

    def finish(self, text: str) -> str:
        """The held-back text and ``text``, as far as they are part of the text, when no more tokens come."""
        if self.ended_by is not None:
            return ""
        repeats = False
        if self._repetition is not None:
            text, repeats = self._repetition.finish(text)
        return self._shown(text, repeats, final=True)

    def _shown(self, text: str, repeats: bool, *, final: bool = False) -> str:
        shown = self._pass(text, final=final or repeats)
        if repeats:
            self.ended_by = self.ended_by or "repetition"
        n_before = min(self._n_shown_before, len(shown))
        self._n_shown_before -= n_before
        return shown[n_before:]

    def _pass(self, text: str, *, final: bool = False) -> str:
        for name, stage in self._stages:
            text, has_ended = stage.feed(text)
            if has_ended:
                self.ended_by = self.ended_by or name
            elif final:
                text += stage.finish()
            final = final or has_ended
        return text
