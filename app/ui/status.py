"""The status lines below the editor: progress, speed, errors."""

from __future__ import annotations

import html
from collections.abc import Sequence

from app.generating import Failed, Loading, Progress, Written
from app.generation import Completion, Generation
from app.ui.places import place

_REASONS = {
    "stop": "finished",
    "length": "hit the length limit",
    "cancelled": "stopped",
    "error": "interrupted",
}
READY = '<p class="status">Ready. Press <kbd>Ctrl</kbd> <kbd>Enter</kbd> or <kbd>⌘</kbd> <kbd>Enter</kbd> to run.</p>'


def status_of(progress: Progress, index: int = 0) -> str:
    """The status as HTML. With a generation, it contains the positions of the candidate's text, which ``written.js``
    colours."""
    match progress:
        case Loading(name, share):
            return (
                f'<p class="status">Loading {html.escape(name)}: {share:.0%}</p>'
                f'<progress max="1" value="{share:.3f}" aria-label="Loading"></progress>'
            )
        case Failed(sentence):
            return failure(sentence)
        case Written(generation, notices, finished):
            return summary(generation, index, notices, running=not finished)


def failure(sentence: str) -> str:
    return f'<p class="status error" role="alert">{html.escape(sentence)}</p>'


def summary(generation: Generation, index: int, notices: Sequence[str] = (), *, running: bool = False) -> str:
    """A summary of ``generation``, with the candidate number ``index`` in the editor."""
    completions = generation.candidates[index].completions
    said = [*_speed(generation, completions)]
    if not running and completions:
        said += [
            _reason(generation, completions[-1]),
            f"seed {completions[0].seed}",
            f"{generation.repo_id}@{generation.revision} ({generation.runner})",
        ]
    lines = "".join(f'<p class="status">{html.escape(line)}</p>' for line in [" · ".join(said), *notices])
    cut = "" if running else "".join(map(_cut, completions))
    announcement = "" if running else html.escape(" · ".join(said[2:4]))
    return (
        f'<div data-written="{_written(generation, index)}" data-running="{str(running).lower()}">{lines}{cut}'
        f'<p class="only-read" aria-live="polite">{announcement}</p></div>'
    )


def _reason(generation: Generation, completion: Completion) -> str:
    """What ended the text."""
    ends = {
        "stop_sequence": "reached a stop sequence",
        "stop_at": f"reached the end of the {generation.sampling.stop_at}",
        "repetition": "stopped: it was repeating itself",
        "suffix": "reached the code after the gap",
    }
    return ends.get(completion.ended_by or "", _REASONS[completion.reason])


def _cut(completion: Completion) -> str:
    """The text that was cut off, which can be expanded."""
    if not completion.cut:
        return ""
    text = html.escape(completion.cut)
    return f'<details class="cut"><summary>show what was cut off</summary><pre>{text}</pre></details>'


def _speed(generation: Generation, completions: Sequence[Completion]) -> list[str]:
    n_tokens = sum(len(completion.written) for completion in completions)
    if not n_tokens:
        return ["no tokens yet"]
    speed = [f"{generation.tokens_per_second:.0f} tokens/s"] if generation.tokens_per_second else []
    count = f"{n_tokens} token{'s' if n_tokens > 1 else ''}"
    return [f"first token {generation.seconds_to_first_token * 1000:.0f} ms", *speed, count]


def _written(generation: Generation, index: int) -> str:
    """Line and column where each text begins and ends, from 0, in the editor's UTF-16 units."""
    code = generation.code(index)
    places = [f"{place(code, begin)}-{place(code, end)}" for begin, end in generation.spans(index)]
    return " ".join(places)
