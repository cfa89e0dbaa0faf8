"""The Compare pane: one prompt on several revisions at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.generation.compare import as_stopped, is_running, side_by_side
from app.generation.records import MARK, Comparison, Language
from app.generation.task import Progress, Written, as_ended
from app.limits import Limits, RateLimits
from app.model_pool import Models
from app.shares.votes import Votes
from app.ui.caller import admitted, in_time
from app.ui.code_pane.example_code import presets
from app.ui.compare.blind import Ballot, BlindControls, blind_choice, connect_votes, vote_controls
from app.ui.compare.columns import View, columns
from app.ui.components import (
    LANGUAGES,
    LATEST,
    MAX_RUNNING,
    QUIET,
    Updates,
    code_update,
    failure,
    prompt_editor,
    prompt_task,
    run_and_stop,
    running_state,
)
from app.ui.parameters import ParameterControls, Parameters
from app.ui.revision_menus import RevisionMenus
from santacoder import checkpoints
from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS, PUBLISHED

MOST = 4
_VIEWS = [("Differences", "differences"), ("Probabilities", "probabilities")]
_HINT = '<p class="empty">The completions appear here side by side, with differences marked.</p>'


@dataclass(frozen=True)
class ComparePane:
    """The components of the pane. ``results`` contains the result of each revision, and the revisions' names.

    To show a comparison, an event with the outputs ``shown`` returns ``show(…)``.
    """

    chosen: gr.Dropdown
    language: gr.Radio
    prompt: gr.Code
    actions: gr.Row
    share: gr.Button
    view: gr.Radio
    written: gr.HTML
    results: gr.State
    blind: BlindControls

    @property
    def shown(self) -> list[gr.blocks.Block]:
        parts = [self.chosen, self.language, self.prompt, self.share, self.view, self.written, self.results]
        return [*parts, *self.blind.shown]

    def show(self, comparison: Comparison, revisions: list[str], notices: Sequence[tuple[str, ...]]) -> Updates:
        """Updates of ``shown``. ``revisions`` are the ones that Compare would run; ``notices`` are shown in each
        column.
        """
        first = comparison.first
        names = [f"{generation.repo_id}@{generation.revision}" for generation in comparison.generations]
        kept: list[Progress] = [
            Written(generation, said, finished=True)
            for generation, said in zip(comparison.generations, notices, strict=True)
        ]
        prompt = code_update(MARK.join(first.parts), first.language)
        view: View = "differences"
        return {
            self.chosen: revisions,
            self.language: first.language,
            self.prompt: prompt,
            self.share: gr.update(interactive=True),
            self.view: view,
            self.written: columns(kept, names, view),
            self.results: (kept, names),
            **self.blind.state(None, kept),
        }


def comparison_of(results: Sequence[Progress]) -> Comparison | None:
    """The generations of the revisions that generated text, as a comparison; None if there are none."""
    written = [one.generation for one in results if isinstance(one, Written)]
    written = [generation for generation in written if generation.candidates[0].completions]
    return Comparison(tuple(written)) if written else None


def compare_pane(
    models: Models,
    limits: Limits,
    store: Path,
    tab: gr.Tab,
    revision: RevisionMenus,
    chosen: gr.Dropdown,
    parameters: ParameterControls,
    votes: Votes,
    share_limits: RateLimits,
) -> ComparePane:
    """Fill the surrounding ``tab``.

    Args:
        models: the loaded models.
        limits: limits of clients.
        store: folder of published models.
        tab: the tab of this pane.
        revision: the menus of model, branch and commit.
        chosen: the menu of the revisions to compare.
        parameters: the controls of the sampling parameters.
        votes: where votes of blind comparisons are kept.
        share_limits: rate limits of votes.
    """
    with gr.Column(elem_id="compare"):
        chosen.render()
        examples = {each: next(iter(presets("complete", each).values())) for each in LANGUAGES}
        language, prompt = prompt_editor("compare", examples, "Prompt for all revisions")
        with gr.Row(elem_classes="actions") as actions:
            run, stop = run_and_stop("compare", "Compare")
            share = gr.Button("Share", elem_id="compare-share", interactive=False, min_width=72)
        wanted = blind_choice()
        view = gr.Radio(_VIEWS, value="differences", label="Show", elem_id="compare-view", elem_classes="segmented")
        written = gr.HTML(_HINT, elem_id="compare-columns", apply_default_css=False)
        blind = vote_controls(wanted)
    results = gr.State(([], []))
    outputs = [written, results, *blind.shown, share, run, stop]

    def compare(
        names: list[str], code: str, language: Language, shown: View, is_blind: bool, **values: Any
    ) -> Iterator[Updates]:
        ballot = Ballot.drawn(len(names)) if is_blind else None
        try:
            task = prompt_task(code, language, Parameters(**values).sampling())
            revisions = [_parsed(name) for name in _required(names)]
            with admitted(limits, len(revisions) * task.n_texts, task.sampling.max_new_tokens) as client:
                task = replace(task, client=client)
                for latest in in_time(limits, side_by_side(models, revisions, task), late):
                    buttons = running_state(run, stop, running=any(map(is_running, latest)))
                    yield {**result(latest, names, shown, ballot), **buttons}
        except UserError as error:
            yield {**result([], [], shown, None), written: failure(str(error)), **ended()}

    def result(latest: list[Progress], names: list[str], shown: View, ballot: Ballot | None) -> Updates:
        ballot = ballot.after(latest) if ballot else None
        drawn = columns_of(latest, names, shown, ballot)
        can_share = gr.update(interactive=comparison_of(latest) is not None)
        return {written: drawn, results: (latest, names), share: can_share, **blind.state(ballot, latest)}

    def ended() -> Updates:
        return running_state(run, stop, running=False)

    def late(latest: list[Progress]) -> list[Progress]:
        return [as_ended(progress, limits.time_is_over) for progress in latest]

    def stopped(shown: View, kept: tuple[list[Progress], list[str]], ballot: Ballot | None) -> Updates:
        return {**result(list(map(as_stopped, kept[0])), kept[1], shown, ballot), **ended()}

    def show(shown: View, kept: tuple[list[Progress], list[str]], ballot: Ballot | None) -> Any:
        return columns_of(*kept, shown, ballot) if kept[0] else gr.skip()

    tab.select(lambda *values: menu(models, store, *values), [revision.model, revision.branch, chosen], chosen, **QUIET)
    running = run.click(
        compare,
        None,
        outputs,
        inputs_kwargs={
            "names": chosen,
            "code": prompt,
            "language": language,
            "shown": view,
            "is_blind": wanted,
            **parameters._asdict(),
        },
        concurrency_limit=MAX_RUNNING,
        concurrency_id="generate",
        **QUIET,
    )
    running.then(ended, None, [run, stop], **QUIET)
    running.failure(stopped, [view, results, blind.ballot], outputs, **QUIET)
    # the generated code is read once nothing more can arrive
    stop.click(None, None, None, cancels=[running], **QUIET).then(
        stopped, [view, results, blind.ballot], outputs, **QUIET
    )
    view.input(show, [view, results, blind.ballot], written, **LATEST)
    connect_votes(blind, votes, share_limits, results, written, view, columns_of, comparison_of)
    return ComparePane(chosen, language, prompt, actions, share, view, written, results, blind)


def columns_of(latest: list[Progress], names: list[str], shown: View, ballot: Ballot | None) -> str:
    """HTML with one column per revision, in the order of the ballot, and without names until it is closed."""
    if ballot is None:
        return columns(latest, names, shown)
    return columns(*ballot.shown(latest, names), shown, is_blind=ballot.is_open)


def revision_menu() -> gr.Dropdown:
    """The menu of revisions to compare, to be filled with :func:`menu` and rendered by the pane."""
    return gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        max_choices=MOST,
        allow_custom_value=True,
        label="Revisions",
        info="Two to four revisions, as model@branch or model@commit.",
        elem_id="compare-revisions",
        render=False,
    )


def menu(models: Models, store: Path, repo_id: str, branch: str, names: list[str]) -> gr.Dropdown:
    """The menu with all branches. If nothing is chosen, it suggests the page's branch and another one."""
    known = [
        f"{name}@{each}"
        for name in checkpoints.repositories(store)
        for each in checkpoints.branches(name, store=store, ask_hub=False)
    ]
    known += [f"{PUBLISHED}@{each}" for each in EXPERIMENTS]
    return gr.Dropdown(choices=known, value=names or _suggested(models, repo_id, branch, known))


def _suggested(models: Models, repo_id: str, branch: str, known: list[str]) -> list[str]:
    own, preferred = f"{repo_id}@{branch}", f"{repo_id}@no-fim"
    others = [name for name in known if name.startswith(f"{repo_id}@") and name != own]
    others.sort(key=lambda name: name != preferred)
    others += [name for name in known if name.endswith("@main") and name not in (own, *others)]
    return [own, *[name for name in others if models.may_serve(*_parsed(name))][:1]]


def _required(names: list[str]) -> list[str]:
    """Check the number of revisions.

    Raises:
        UserError: there are too few or too many to compare.
    """
    if not 2 <= len(names) <= MOST:
        raise UserError(f"Choose two to four revisions to compare, not {len(names)}.")
    return names


def _parsed(name: str) -> tuple[str, str]:
    """Model and revision; the default revision is ``main``."""
    repo_id, _, revision = name.strip().partition("@")
    return repo_id, revision or "main"
