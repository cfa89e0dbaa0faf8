"""What Run, Retry, Stop and Undo leave in a pane, from the events of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.generation.task import Failed, Loading, Progress, Written
from app.settings import Settings
from app.ui.code_pane.controls import NO_TOKENS, NOT_CHECKED, CodePane
from app.ui.code_pane.layout import _layout
from app.ui.code_pane.run_buttons import _updates
from app.ui.components import Updates
from tests.app.api.conftest import Serving, serve
from tests.app.page_events import Visit
from tests.app.shares.generations import generation

SESSIONS = count()


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        yield serving


@pytest.fixture
def visit(serving: Serving) -> Visit:
    return Visit(serving.url, f"visit{next(SESSIONS)}")


def request(code: str) -> list[Any]:
    """The values from which Run and Retry make a request; the server keeps the generation and its number."""
    revision, sampling = ["test/tiny", "main", ""], [4, 1.0, 1.0, 0, 1.0, "5", "", "none", False]
    return [code, "python", 1, "auto", *revision, *sampling, None, None]


def code_of(outputs: dict[str, Any]) -> str:
    return str(outputs["complete-editor"]["value"])


@pytest.fixture(scope="module")
def pane() -> CodePane:
    with gr.Blocks():
        return _layout("complete", "Code", lambda code: (code,))


def shown(pane: CodePane, *progresses: Progress) -> Updates:
    """The last value of everything that a run changes."""
    with gr.Blocks():
        recorder = gr.HTML()
    changed: Updates = {}
    for updates in _updates(pane, recorder, iter(progresses)):
        changed |= updates
    return changed


def test_what_is_typed_after_undo_is_what_retry_runs(visit: Visit) -> None:
    assert code_of(visit.outputs("complete-run", "click", request("x = 1\n"))).startswith("x = 1\n")
    assert visit.outputs("complete-undo", "click", [None])["complete-editor"] == "x = 1\n"
    retried = visit.outputs("complete-retry", "click", request("x = 1\ny = 2\n"))
    assert code_of(retried).startswith("x = 1\ny = 2\n")


def test_stop_before_anything_is_written_says_so_and_leaves_no_marks(visit: Visit) -> None:
    stopped = visit.outputs("complete-stop", "click", [None, 0], n_chained=1)
    assert "Stopped before anything was written" in stopped["complete-status"]
    assert stopped["complete-tokens"] == NO_TOKENS and stopped["complete-origin-badge"] == ""
    assert stopped["complete-undo"]["interactive"] is stopped["complete-share"]["interactive"] is False


def test_while_a_model_is_loaded_nothing_tells_of_the_text_before(pane: CodePane) -> None:
    changed = shown(pane, Loading("test/tiny", 0.5), Failed("It is damaged."))
    assert "It is damaged." in changed[pane.status]
    assert changed[pane.generation] is None and pane.editor not in changed
    assert changed[pane.tokens] == NO_TOKENS and changed[pane.origin_badge] == ""
    assert changed[pane.undo]["interactive"] is changed[pane.share]["interactive"] is False


def test_a_failure_in_the_middle_keeps_what_was_written(pane: CodePane) -> None:
    written = generation("x = ", texts=("1",))
    changed = shown(pane, Written(written, (), finished=False), Failed("The model could not be run."))
    assert "could not be run" in changed[pane.status] and changed[pane.generation] == written
    assert 'data-token="0"' in changed[pane.tokens] and changed[pane.undo]["interactive"]


def test_a_refused_request_changes_nothing_but_the_status(pane: CodePane) -> None:
    """The text before it is still there, and can be undone."""
    assert set(shown(pane, Failed("There are too many."))) == {pane.status, *pane.running_state(running=True)}


def test_what_would_change_the_text_waits_until_it_is_written(pane: CodePane, visit: Visit) -> None:
    begun = shown(pane, Written(generation("x = ", texts=("1",)), (), finished=False))
    assert not any(begun[part]["interactive"] for part in (pane.retry, pane.language, pane.preset, pane.undo))
    for button, n_chained in (("run", 1), ("stop", 2)):
        ended = visit.outputs(f"complete-{button}", "click", [], n_chained=n_chained)
        assert all(ended[f"complete-{name}"]["interactive"] for name in ("retry", "language", "preset", "run"))


def test_the_origin_stays_until_another_text_is_written(pane: CodePane) -> None:
    begun = Written(generation("x = ", texts=("1",)), (), finished=False)
    changed = shown(pane, begun)
    assert changed[pane.origin_badge] == "" and changed[pane.origins] == NOT_CHECKED
    assert pane.tokens not in changed
