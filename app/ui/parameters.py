"""The parameters of a generation: those of sampling, shared by the panes, and the order of a prompt with a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import gradio as gr

from app.generation.records import Pane
from app.ui.components import FIXED_LINES, QUIET, Updates
from santacoder.errors import UserError
from santacoder.fim import FimOrder
from santacoder.sampling import MAX_SEED, SamplingParams, StopAt

MAX_CANDIDATES = 8
_STOP_AT: dict[StopAt, str] = {
    "function": "the function",
    "block": "the block",
    "line": "the line",
    "none": "nothing (never stop early)",
}

OrderChoice = Literal["auto", "psm", "spm"]


def candidates_control() -> gr.Slider:
    return gr.Slider(
        1,
        MAX_CANDIDATES,
        1,
        step=1,
        label="Candidates",
        info="How many alternative completions to generate.",
        elem_id="candidates",
    )


class ParameterControls(NamedTuple):
    """The controls of the sampling parameters."""

    max_new_tokens: gr.Slider
    temperature: gr.Slider
    top_p: gr.Slider
    top_k: gr.Slider
    repetition_penalty: gr.Slider
    seed: gr.Textbox
    stop: gr.Textbox
    stop_at: gr.Dropdown
    stop_repetition: gr.Checkbox

    def updates(self, sampling: SamplingParams) -> Updates:
        """The values of the controls for ``sampling``."""
        return {
            self.max_new_tokens: sampling.max_new_tokens,
            self.temperature: sampling.temperature,
            self.top_p: sampling.top_p,
            self.top_k: sampling.top_k,
            self.repetition_penalty: sampling.repetition_penalty,
            self.seed: "" if sampling.seed is None else str(sampling.seed),
            self.stop: "\n".join(text.replace("\n", "\\n") for text in sampling.stop),
            self.stop_at: sampling.stop_at,
            self.stop_repetition: sampling.stop_repetition,
        }


@dataclass(frozen=True)
class Parameters:
    """The values of :class:`ParameterControls`.

    ``seed`` is a number, or empty for a random seed; ``stop`` has a stop sequence in each line, with ``\\n`` for a
    line break. The others are those of :class:`SamplingParams`.
    """

    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    seed: str
    stop: str
    stop_at: StopAt
    stop_repetition: bool

    def sampling(self) -> SamplingParams:
        """The sampling parameters.

        Raises:
            UserError: a value is out of range; the message is for the user.
        """
        return SamplingParams(
            max_new_tokens=int(self.max_new_tokens),
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=int(self.top_k),
            repetition_penalty=self.repetition_penalty,
            seed=_seed(self.seed),
            token_healing=True,
            stop=tuple(line.replace("\\n", "\n") for line in self.stop.splitlines() if line),
            stop_at=self.stop_at,
            stop_repetition=self.stop_repetition,
        )


def parameter_controls() -> ParameterControls:
    defaults = SamplingParams()
    max_new_tokens = gr.Slider(
        1,
        512,
        defaults.max_new_tokens,
        step=1,
        label="Maximum length",
        info="At most this many tokens. A line of code has about ten.",
    )
    temperature = gr.Slider(
        0,
        2,
        defaults.temperature,
        step=0.05,
        label="Temperature",
        info="Randomness. 0 always picks the most likely token.",
    )
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        return ParameterControls(
            max_new_tokens,
            temperature,
            top_p=gr.Slider(
                0.05,
                1,
                defaults.top_p,
                step=0.05,
                label="Top-p",
                info="Sample from the most likely tokens that add up to this probability. 1 keeps all.",
            ),
            top_k=gr.Slider(
                0,
                200,
                defaults.top_k,
                step=1,
                label="Top-k",
                info="Sample from this many of the most likely tokens. 0 keeps all.",
            ),
            repetition_penalty=gr.Slider(
                1,
                2,
                defaults.repetition_penalty,
                step=0.05,
                label="Repetition penalty",
                info="Above 1, tokens that already occurred become less likely.",
            ),
            seed=gr.Textbox(
                "",
                label="Seed",
                info="The same seed gives the same text. Leave it empty for a random seed.",
                max_lines=1,
            ),
            stop=gr.Textbox(
                "",
                label="Stop sequences",
                info="Generation stops before any of these. One per line; \\n stands for a line break.",
                **FIXED_LINES,
            ),
            stop_at=gr.Dropdown(
                [(label, stop_at) for stop_at, label in _STOP_AT.items()],
                value="function",
                label="Stop at the end of",
                info="Where a completion at the end of the code stops. Gaps end by themselves.",
                elem_id="stop-at",
            ),
            stop_repetition=gr.Checkbox(
                True,
                label="Stop repetitions",
                info="End a text that starts to repeat itself; the repetition is not shown.",
            ),
        )


def keep_parameters(page: gr.Blocks, controls: list[gr.components.Component]) -> None:
    """Keep the values of ``controls`` across reloads of the page, and collapse them on phones."""
    keep = "(...values) => santacoder.changedParameters(values)"
    first = "(...values) => santacoder.firstParameters(values)"
    gr.on([control.change for control in controls], None, controls, None, js=keep, **QUIET)
    page.load(None, controls, controls, js=first, **QUIET)


def _seed(text: str) -> int | None:
    text = text.strip()
    if text and not (text.isdecimal() and len(text) <= len(str(MAX_SEED))):
        raise UserError(f"The seed must be a whole number from 0 to {MAX_SEED}, or empty, not {text[:40]!r}.")
    return int(text) if text else None


def order_choice(name: Pane) -> gr.Radio:
    """A choice of the order, for panes with gaps."""
    return gr.Radio(
        [("Auto", "auto"), ("Prefix first", "psm"), ("Suffix first", "spm")],
        value="auto",
        label="Prompt order",
        elem_id=f"{name}-order",
        elem_classes="segmented",
        min_width=280,
        visible=name == "infill",
    )


def chosen_order(choice: OrderChoice) -> FimOrder | None:
    """The chosen order; None leaves it to the revision and the gap."""
    return None if choice == "auto" else choice
