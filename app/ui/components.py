"""Components that several panes share: the editor, languages, Run and Stop, the status lines, event options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr

from app.generation.records import MARK, Completion, Generation, Language
from app.generation.task import Failed, Loading, Progress, Task, Written
from app.ui.html import render
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams

_PROMPT_LINES = 8

_REASONS = {
    "stop": "finished",
    "length": "hit the length limit",
    "cancelled": "stopped",
    "error": "interrupted",
}
READY = (
    '<p class="status">Ready. Press Run<span class="keys">, or <kbd>Ctrl</kbd> <kbd>Enter</kbd> or <kbd>⌘</kbd> '
    "<kbd>Enter</kbd></span>.</p>"
)

MAX_GAPS = 8
MAX_RUNNING = 16
# with an empty list: otherwise Gradio would tell the state of an event to all its outputs, hidden or not, and once more
# with every message of every other event
NO_PROGRESS: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": []}
QUIET: dict[str, Any] = {**NO_PROGRESS, "api_visibility": "private"}
"""Options of events that show no progress and are no part of the page's API."""
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
"""The same, where of several events in a row the last one counts."""
FIXED_LINES: dict[str, Any] = {"lines": 3, "max_lines": 3}
"""Of text fields into which lists are pasted: Gradio lays the page out anew to fit a field to each change of its text,
but not if it cannot grow."""
Updates = dict[gr.blocks.Block, Any]
"""What an event changes: values or properties by component. The event's other outputs stay as they are."""


def code_editor(value: str, *, label: str, elem_id: str, lines: int = 16) -> gr.Code:
    """Gradio's editor, except that it shows code unchanged."""
    # Gradio strips white space at both ends, which is significant in code. The class itself is patched, because Gradio
    # creates a new instance on updates, and would write a stub file next to this one for a subclass.
    gr.Code.postprocess = _as_it_is
    return gr.Code(
        value,
        language="python",
        lines=lines,
        max_lines=26,
        label=label,
        elem_id=elem_id,
        elem_classes="code-editor",
        interactive=True,
        buttons=[],
    )


def _as_it_is(_: gr.Code, code: str | None) -> str | None:
    return code


def prompt_editor(name: str, examples: Mapping[Language, str], label: str) -> tuple[gr.Radio, gr.Code]:
    """The language and the code, for :func:`prompt_task`. It begins with the example in Python. Choosing a language
    replaces an example by that language's; the user's own code stays."""
    with gr.Row(elem_classes="toolbar"):
        language = language_choice(name)
    with gr.Column(elem_classes="sheet"):
        editor = code_editor(
            examples["python"], label=f"{label}; {MARK} marks a gap", elem_id=f"{name}-editor", lines=_PROMPT_LINES
        )

    def choose(chosen: Language, code: str) -> dict[str, Any]:
        return code_update(examples[chosen] if code in examples.values() else None, chosen)

    language.input(choose, [language, editor], editor, **LATEST)
    return language, editor


def split_at_marks(code: str) -> tuple[str, ...]:
    """The code split at the gap markers.

    Raises:
        UserError: there are too many.
    """
    parts = tuple(code.split(MARK))
    if len(parts) - 1 > MAX_GAPS:
        raise UserError(f"The code has {len(parts) - 1} gaps ({MARK}); at most {MAX_GAPS} can be filled at once.")
    return parts


def prompt_task(code: str, language: Language, sampling: SamplingParams) -> Task:
    """A task that continues the code, or fills its gaps if it has any.

    Raises:
        UserError: it has too many gaps.
    """
    parts = split_at_marks(code)
    return Task("complete" if len(parts) == 1 else "infill", language, parts, sampling)


def run_and_stop(name: str, label: str) -> tuple[gr.Button, gr.Button]:
    """Run and Stop buttons, for a row of the class ``actions``."""
    run = gr.Button(label, variant="primary", elem_id=f"{name}-run", elem_classes="run", min_width=88)
    stop = gr.Button("Stop", interactive=False, elem_id=f"{name}-stop", elem_classes="stop", min_width=72)
    return run, stop


def running_state(run: gr.Button, stop: gr.Button, *, running: bool) -> Updates:
    """Run and Stop, as they are while something runs or not."""
    # no gr.Button: while the page is built, that would be another button on it
    return {run: gr.update(interactive=not running), stop: gr.update(interactive=running)}


class _Named(NamedTuple):
    label: str
    highlighter: str
    file_name: str


# Gradio's editor has no mode for Java; the C++ mode handles its braces, types, comments and most of its keywords
LANGUAGES: dict[Language, _Named] = {
    "python": _Named("Python", "python", "completion.py"),
    "java": _Named("Java", "cpp", "Completion.java"),
    "javascript": _Named("JavaScript", "javascript", "completion.js"),
}


def language_choice(name: str) -> gr.Radio:
    """The language buttons of the pane ``name``."""
    return gr.Radio(
        [(named.label, language) for language, named in LANGUAGES.items()],
        value="python",
        label="Language",
        elem_id=f"{name}-language",
        elem_classes="segmented",
        min_width=220,
    )


def code_update(code: str | None, language: Language) -> dict[str, Any]:
    """An update of an editor's code, unchanged, and language; None keeps the current code."""
    value = {} if code is None else {"value": code}
    return gr.update(language=LANGUAGES[language].highlighter, **value)


def status_of(progress: Progress, index: int = 0) -> str:
    """The status as HTML. With a generation, it contains the positions of the candidate's text, which ``written.js``
    colours."""
    match progress:
        case Loading(name, share, doing):
            return render("loading", name=name, share=share, doing=doing)
        case Failed(sentence):
            return failure(sentence)
        case Written(generation, notices, finished):
            return summary(generation, index, notices, running=not finished)


def failure(sentence: str) -> str:
    return render("failure", sentence=sentence)


def status_line(text: str, *, is_error: bool = False) -> str:
    return render("status_line", text=text, is_error=is_error)


def summary(generation: Generation, index: int, notices: Sequence[str] = (), *, running: bool = False) -> str:
    """A summary of ``generation``, with the candidate number ``index`` in the editor."""
    completions = generation.candidates[index].completions
    said = _speed(generation, completions, running=running)
    facts = [f"first token {generation.seconds_to_first_token * 1000:.0f} ms"]
    if not running and completions:
        said.append(_reason(generation, completions[-1]))
        facts.append(f"seed {completions[0].seed}")
        if n_accepted := sum(completion.n_accepted for completion in completions):
            facts.append(f"{n_accepted} token{'s' if n_accepted > 1 else ''} from drafts")
        facts.append(f"{generation.repo_id}@{generation.revision} ({generation.runner})")
    line = " · ".join(said)
    return render(
        "status",
        written=_written(generation, index),
        running=running,
        said=line if running else f"{_author(generation)}: {line}",
        facts=" · ".join(facts),
        notices=notices,
        cut=[] if running else [completion.cut for completion in completions if completion.cut],
    )


def _author(generation: Generation) -> str:
    """Whose text it is: another model may have been chosen since."""
    revision = generation.revision
    is_commit = len(revision) == len(generation.sha) and generation.sha.startswith(revision)
    return f"{generation.repo_id.split('/')[-1]} · {revision[:8] if is_commit else revision}"


def _reason(generation: Generation, completion: Completion) -> str:
    """What ended the text."""
    ends = {
        "stop_sequence": "reached a stop sequence",
        "stop_at": f"reached the end of the {generation.sampling.stop_at}",
        "repetition": "ended before it repeated itself",
        "suffix": "reached the code after the gap",
    }
    return ends.get(completion.ended_by or "", _REASONS[completion.reason])


def _speed(generation: Generation, completions: Sequence[Completion], *, running: bool) -> list[str]:
    n_tokens = sum(len(completion.written) for completion in completions)
    if not n_tokens:
        return ["no tokens yet" if running else "nothing was written"]
    speed = [f"{generation.tokens_per_second:,.0f} tokens/s"] if generation.tokens_per_second else []
    return [f"{n_tokens} token{'s' if n_tokens > 1 else ''}", *speed]


def _written(generation: Generation, index: int) -> str:
    """Line and column where each text begins and ends, from 0, in the editor's UTF-16 units."""
    code = generation.code(index)
    places = [f"{place(code, begin)}-{place(code, end)}" for begin, end in generation.spans(index)]
    return " ".join(places)


def place(code: str, position: int) -> str:
    """The position of a character as ``line:column`` from 0, in the editor's UTF-16 units."""
    before = code[:position]
    column = before[before.rfind("\n") + 1 :].rstrip("\r")
    return f"{before.count(chr(10))}:{len(column.encode('utf-16-le')) // 2}"
