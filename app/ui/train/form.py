"""The form of a training job: what to learn from, what to train, and where to publish it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.training_request import JobRequest
from app.ui.components import FIXED_LINES, QUIET, Updates
from app.ui.html import render
from santacoder.experiments import EXPERIMENTS
from train.presets import SIZES

SAMPLE_PROJECT = Path(__file__).resolve().parents[2] / "sample_project"

_SAMPLE, _OWN, _PACKAGES = "sample", "own", "packages"
_CARDS = [
    ("A sample project\nSmall, about beekeeping; comes with this page.", _SAMPLE),
    ("Your own code\nA folder on the server, or an archive.", _OWN),
    ("Python packages\nDownloaded from PyPI, without running them.", _PACKAGES),
]
_SCRATCH, _TUNE = "A new model, from scratch", "The selected model, fine-tuned"
_WHERE = "Published models go to the server's folder of models (--store). Choose them at the top of the page."


@dataclass(frozen=True)
class FormDefaults:
    """What the form begins with for a kind of source."""

    repo_id: str
    branch: str
    steps: int


_OTHER_DEFAULTS = FormDefaults("mine/coder", "main", 100)


@dataclass(frozen=True)
class Form:
    """The components of the form; ``values`` has all of them by the names of :class:`FormValues`."""

    folder: gr.Textbox
    archive: gr.File
    values: dict[str, gr.components.Component]


@dataclass(frozen=True)
class FormValues:
    """The values of the form, and the selected revision.

    ``source`` is the card that was chosen; what belongs to the others is ignored. ``archive`` is the path of an
    uploaded file; ``packages`` has a package in each line.
    """

    source: str
    folder: str
    archive: str | None
    packages: str
    start: str
    size: str
    variant: str
    steps: float | None
    target: str
    target_branch: str
    model: str
    branch: str
    commit: str

    def job(self, may_read: Callable[[str], str]) -> JobRequest:
        """The job that they describe. ``may_read`` resolves the name of a folder, or raises.

        Raises:
            UserError: the request is invalid; the message is for the user.
        """
        is_own = self.source == _OWN
        folder = may_read(self.folder.strip()) if is_own else ""
        return JobRequest(
            repo_id=self.target.strip(),
            branch=self.target_branch.strip(),
            steps=int(self.steps or 0),
            base=f"{self.model}@{self.commit or self.branch}" if self.start == _TUNE else "",
            size=self.size,
            variant=self.variant,
            folder=str(SAMPLE_PROJECT) if self.source == _SAMPLE else folder,
            archive=(self.archive or "") if is_own else "",
            packages=self.packages if self.source == _PACKAGES else "",
        )


def source_cards() -> gr.Radio:
    """Where the training data come from."""
    return gr.Radio(
        _CARDS, value=_SAMPLE, label="What to learn from", elem_id="train-source", elem_classes="choice-cards"
    )


def job_form(source: gr.Radio, sample_defaults: FormDefaults) -> Form:
    """The rest of the form, which begins with ``sample_defaults``, those of the sample project. ``source`` was made by
    :func:`source_cards`."""
    sample = gr.HTML(_sample_files(), elem_id="train-sample-files")
    with gr.Column(visible=False) as own:
        folder = gr.Textbox(label="Folder", info="A folder on the server.", max_lines=1, elem_id="train-folder")
        archive = gr.File(
            label="or an archive of source code (zip or tar)",
            file_types=[".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"],
            elem_id="train-archive",
            height=150,
        )
    packages = gr.Textbox(
        label="Packages",
        info="name==version, one per line.",
        **FIXED_LINES,
        visible=False,
        elem_id="train-packages",
    )
    start = gr.Radio([_TUNE, _SCRATCH], value=_TUNE, label="What to train", elem_id="train-start-from")
    with gr.Row(visible=False) as scratch:
        size = gr.Dropdown(list(SIZES), value="nano", label="Size", elem_id="train-size", min_width=100)
        variant = gr.Dropdown(list(EXPERIMENTS), value="final", label="Variant", elem_id="train-variant", min_width=100)
    with gr.Row():
        steps = gr.Number(
            sample_defaults.steps, label="Steps", precision=0, minimum=1, elem_id="train-steps", min_width=80
        )
        repo_id = gr.Textbox(
            sample_defaults.repo_id, label="Publish as", max_lines=1, elem_id="train-repo", min_width=140, scale=2
        )
        branch = gr.Textbox(sample_defaults.branch, label="Branch", max_lines=1, elem_id="train-branch", min_width=80)
    gr.HTML(render("status_line", text=_WHERE, is_error=False), elem_id="train-where")
    start.change(lambda choice: gr.Row(visible=choice == _SCRATCH), start, scratch, **QUIET)

    def choose(chosen: str, n_steps: float | None, name: str, at: str) -> Updates:
        """Show what belongs to the card. What the form began with for another card does not stay."""
        usual, others = (sample_defaults, _OTHER_DEFAULTS) if chosen == _SAMPLE else (_OTHER_DEFAULTS, sample_defaults)
        is_unchanged = FormDefaults(name, at, int(n_steps or 0)) == others
        return {
            sample: gr.HTML(visible=chosen == _SAMPLE),
            own: gr.Column(visible=chosen == _OWN),
            packages: gr.Textbox(visible=chosen == _PACKAGES),
            **({steps: usual.steps, repo_id: usual.repo_id, branch: usual.branch} if is_unchanged else {}),
        }

    source.change(
        choose,
        [source, steps, repo_id, branch],
        [sample, own, packages, steps, repo_id, branch],
        **QUIET,
    )
    values = {
        "source": source,
        "folder": folder,
        "archive": archive,
        "packages": packages,
        "start": start,
        "size": size,
        "variant": variant,
        "steps": steps,
        "target": repo_id,
        "target_branch": branch,
    }
    return Form(folder, archive, values)


def _sample_files() -> str:
    names = sorted(path.name for path in SAMPLE_PROJECT.rglob("*.py"))
    return render("status_line", text=f"{len(names)} files: {', '.join(names)}", is_error=False)
