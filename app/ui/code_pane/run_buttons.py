"""Run, Stop, Retry and Undo of a code pane, and continuing from another token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app.generation.continuation import Place
from app.generation.records import Generation
from app.generation.run import continue_from, generate
from app.generation.task import Failed, Loading, Progress, Written, as_ended
from app.model_pool import Models
from app.ui.caller import admitted, in_time, session
from app.ui.code_pane.controls import CodePane, Controls, PaneInputs
from app.ui.components import MAX_RUNNING, NO_PROGRESS, QUIET, Updates, status_of
from app.ui.inputs import event_value
from santacoder.errors import UserError
from santacoder.sampling import MAX_SEED

_RUNNING: dict[str, Any] = {
    **NO_PROGRESS,
    "concurrency_limit": MAX_RUNNING,
    "concurrency_id": "generate",
}
_COPIED = "The model wrote the lines above once more. Undo, and begin the next line yourself: a comment or a signature."
_SAME = "Retry wrote the same again. A higher temperature or more candidates give other texts."
_STOPPED = '<p class="status">Stopped before anything was written.</p>'


def connect_running(pane: CodePane, models: Models, controls: Controls, recorder: gr.HTML) -> None:
    """Connect the buttons that stream generated code into the editor. Stop keeps the code generated so far; every
    finished generation is passed to ``recorder`` as JSON.
    """
    buttons = [*pane.running_state(running=False)]
    outputs = [*dict.fromkeys([*pane.shown, *pane.cleared(), *buttons]), recorder]
    limits = controls.limits

    def late(progress: Progress) -> Progress:
        return as_ended(progress, limits.time_is_over)

    def run(**values: Any) -> Iterator[Updates]:
        yield from answer(PaneInputs(**values), again=False)

    def retry(**values: Any) -> Iterator[Updates]:
        yield from answer(PaneInputs(**values), again=True)

    def answer(given: PaneInputs, *, again: bool) -> Iterator[Updates]:
        try:
            task = pane.task(given, again=again)
            if again and task.sampling.seed is not None:
                seed = _another_seed(task.sampling.seed, given.generation)
                task = replace(task, sampling=replace(task.sampling, seed=seed))
            with admitted(limits, task.n_texts, task.sampling.max_new_tokens) as client:
                task = replace(task, client=client, session=session(client))
                progress = generate(models, given.model, given.revision, task)
                steps: Iterator[Progress] = _with_copies_named(in_time(limits, progress, late))
                if again and given.generation is not None:
                    steps = _with_sameness(steps, given.generation)
                yield from _updates(pane, recorder, steps)
        except UserError as error:
            yield from _updates(pane, recorder, iter([Failed(str(error))]))

    def go_on(generation: Generation | None, index: int, event: gr.EventData) -> Iterator[Updates]:
        if generation is None:
            return
        try:
            gap, token, alternative = (event_value(event, name, int) for name in ("gap", "token", "alternative"))
            place = Place(index, gap, token, alternative)
            n_gaps = max(1, len(generation.parts) - 1)
            with admitted(limits, n_gaps, generation.sampling.max_new_tokens) as client:
                steps = in_time(limits, continue_from(models, generation, place, client), late)
                yield from _updates(pane, recorder, steps, index=len(generation.candidates))
        except UserError as error:
            yield from _updates(pane, recorder, iter([Failed(str(error))]))

    def ended() -> Updates:
        return pane.running_state(running=False)

    def stopped(generation: Generation | None, index: int) -> Updates:
        if generation is None:
            return {**pane.cleared(), pane.status: _STOPPED}
        return {**pane.show(generation, index), recorder: generation.to_json()}

    def undone(generation: Generation | None) -> Updates:
        return gr.skip() if generation is None else pane.undone(generation)

    inputs = pane.inputs(controls)
    running = pane.run.click(run, None, outputs, inputs_kwargs=inputs, api_name=pane.name, **_RUNNING)
    retrying = pane.retry.click(retry, None, outputs, inputs_kwargs=inputs, api_visibility="private", **_RUNNING)
    going_on = pane.tokens.select(go_on, [pane.generation, pane.index], outputs, api_visibility="private", **_RUNNING)
    # Gradio ignores a click on a button whose last event has not quite ended
    for event in (running, retrying, going_on):
        event.then(ended, None, buttons, **QUIET)
        event.failure(stopped, [pane.generation, pane.index], outputs, **QUIET)
    # the generated code is read once nothing more can arrive
    cancelled = pane.stop.click(None, None, None, cancels=[running, retrying, going_on], **QUIET)
    cancelled.then(stopped, [pane.generation, pane.index], outputs, **QUIET).then(ended, None, buttons, **QUIET)
    pane.undo.click(undone, pane.generation, [pane.editor, *pane.cleared(), pane.generation], **QUIET)


def _another_seed(seed: int, generation: Generation | None) -> int:
    """The seed after those of the candidates of ``generation``, so that each retry gives different texts."""
    candidates = generation.candidates if generation else ()
    used = [completion.seed for candidate in candidates for completion in candidate.completions]
    return (max([seed, *used]) + 1) % (MAX_SEED + 1)


def _with_copies_named(steps: Iterator[Progress]) -> Iterator[Progress]:
    """``steps``, at whose end a notice says so if all that was written are the lines above it, once more."""
    for step in steps:
        if isinstance(step, Written) and step.finished and _is_copy(step.generation):
            step = replace(step, notices=(*step.notices, _COPIED))
        yield step


def _is_copy(generation: Generation) -> bool:
    """Whether each candidate has written several lines, which are the last lines of the prompt."""
    if len(generation.parts) > 1:
        return False
    texts = [candidate.completions[0].text.strip() for candidate in generation.candidates if candidate.completions]
    end = generation.parts[0].rstrip()
    return bool(texts) and all("\n" in text and end.endswith(text) for text in texts)


def _with_sameness(steps: Iterator[Progress], before: Generation) -> Iterator[Progress]:
    """``steps``, at whose end a notice says so if nothing was written that ``before`` does not have."""
    for step in steps:
        if isinstance(step, Written) and step.finished and _texts(step.generation) <= _texts(before):
            step = replace(step, notices=(*step.notices, _SAME))
        yield step


def _texts(generation: Generation) -> set[tuple[str, ...]]:
    """What was written, with the code around it."""
    return {
        (*generation.parts, *(completion.text for completion in candidate.completions))
        for candidate in generation.candidates
    }


def _updates(pane: CodePane, recorder: gr.HTML, progresses: Iterator[Progress], index: int = 0) -> Iterator[Updates]:
    """Updates of the pane, of its buttons, and of the recorder; ``index`` is the candidate to show."""
    buttons = pane.running_state(running=True)
    before: Written | None = None
    for progress in progresses:
        updates = {**buttons, **_shown(pane, progress, before, index)}
        if isinstance(progress, Written):
            before = progress
            if progress.finished:
                updates[recorder] = progress.generation.to_json()
        yield updates
        buttons = {}


def _shown(pane: CodePane, progress: Progress, before: Written | None, index: int) -> Updates:
    """Updates of the pane; ``before`` is the last text of the same run."""
    status: Updates = {pane.status: status_of(progress, index)}
    match progress:
        case Written(generation, notices, True):
            return {**pane.show(generation, index, notices), pane.preset: gr.update(interactive=True)}
        case Written(generation):
            begun = {} if before else pane.overwritten()
            return {
                **begun,
                pane.editor: generation.code(index),
                **status,
                pane.generation: generation,
                pane.index: index,
            }
        case Loading():  # Stop must not keep the previous generation
            return {**pane.cleared(), **status, pane.generation: None}
        case Failed() if before:
            return {**pane.show(before.generation, index), **status}
    return status
