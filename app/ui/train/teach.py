"""*Teach it a sample project*: one button from the first screen to the tuned model."""

from __future__ import annotations

import gradio as gr

from app.errors import without_paths
from app.generation.records import Generation
from app.settings import Settings
from app.training_jobs import Jobs
from app.training_permission import TrainingPermission
from app.training_request import TUNING_SEQUENCE_LENGTH, TUNING_STEPS, JobRequest
from app.ui.caller import caller
from app.ui.code_pane.controls import CodePane
from app.ui.code_pane.example_code import presets
from app.ui.components import LANGUAGES, QUIET, Updates, code_update, failure
from app.ui.revision_menus import RevisionMenus, filled_menus
from app.ui.train.form import SAMPLE_PROJECT
from app.ui.train.job_view import look
from app.ui.train.pane import TrainPane
from santacoder import pytorch
from santacoder.checkpoints import CheckpointError
from santacoder.errors import UserError

REPO_ID, BRANCH = "mine/beekeeping", "main"
PROMPT = '''"""How much honey a year gave."""

from apiary.ledger import HoneyLedger


def grams_of_year(honey_ledger: HoneyLedger, year: int) -> int:
    """The grams of all harvests of a year."""
    return sum(entry.grams for entry in honey_ledger.'''

_PRESS_RUN = "() => document.querySelector('#complete-run')?.click()"


def teach_button(settings: Settings) -> gr.Button:
    """The button, to be connected by :func:`connect_teaching`; hidden where nobody can train, or without PyTorch."""
    return gr.Button(
        "Teach it a sample project",
        elem_id="teach-sample",
        size="sm",
        min_width=120,
        visible=settings.training_is_allowed and pytorch.is_installed(),
    )


def connect_teaching(
    button: gr.Button,
    pane: TrainPane,
    complete: CodePane,
    jobs: Jobs,
    permission: TrainingPermission,
    settings: Settings,
    tabs: gr.Tabs,
    revision: RevisionMenus,
) -> None:
    """Tune the server's default model on the sample project and show it at work.

    Args:
        button: starts it.
        pane: the Train pane, which is shown meanwhile.
        complete: the Complete pane, in which it ends.
        jobs: the training jobs.
        permission: who may train; the Train pane tells others why not.
        settings: the server's settings.
        tabs: the tabs of all panes.
        revision: the menus of model, branch and commit.
    """
    teaching, run_now = gr.State(""), gr.State(0)

    def begin() -> Updates:
        opened: Updates = {tabs: gr.Tabs(selected="train")}
        if not permission.is_given(caller()):
            return opened
        try:
            name = jobs.running(REPO_ID) or jobs.start(_request(settings))
        except (UserError, CheckpointError, OSError) as error:
            return {**opened, pane.refusal: failure(without_paths(str(error)))}
        return {**opened, pane.refusal: "", teaching: name, **look(pane.view, jobs, name)}

    def finish(name: str, code: str, generation: Generation | None, index: int, n_runs: int) -> Updates:
        """Choose the tuned model, and let it continue code that uses the project."""
        if not name or not permission.is_given(caller()) or jobs.job(name).state != "finished":
            return gr.skip()
        updates: Updates = {
            teaching: "",
            tabs: gr.Tabs(selected="complete"),
            **revision.updates(filled_menus(settings.store, REPO_ID, BRANCH)),
        }
        if _is_nobodys(code, generation, index):
            shown = {complete.editor: code_update(PROMPT, "python"), complete.language: "python", complete.preset: None}
            updates |= {**complete.cleared(), **shown, run_now: n_runs + 1}
        return updates

    button.click(begin, None, [tabs, pane.refusal, teaching, *pane.view.shown], **QUIET)
    shown = [complete.editor, complete.language, complete.preset, *complete.cleared()]
    pane.published.change(
        finish,
        [teaching, complete.editor, complete.generation, complete.index, run_now],
        [teaching, tabs, *revision, *shown, run_now],
        **QUIET,
    )
    run_now.change(None, None, None, js=_PRESS_RUN, **QUIET)


def _request(settings: Settings) -> JobRequest:
    base = f"{settings.model}@{settings.revision}"
    return JobRequest(
        REPO_ID,
        BRANCH,
        TUNING_STEPS,
        base=base,
        folder=str(SAMPLE_PROJECT),
        sequence_length=TUNING_SEQUENCE_LENGTH,
    )


def _is_nobodys(code: str, generation: Generation | None, index: int) -> bool:
    """Whether ``code`` is an example, or what a model made of one: nothing that a user would miss."""
    examples = {example.strip() for language in LANGUAGES for example in presets("complete", language).values()}
    examples |= {"", PROMPT.strip()}
    is_written = generation is not None and generation.candidates and code == generation.code(index)
    began = "".join(generation.parts) if generation and is_written else code
    return began.strip() in examples
