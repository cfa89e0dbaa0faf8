"""The page as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from app.ui.branches.examples import EXAMPLES
from app.ui.code_pane.example_code import presets
from santacoder.languages import Language
from tests.app.api.conftest import Serving, serve
from tests.app.page_events import fire


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu", allow_training=True)) as serving:
        yield serving


def test_every_button_is_one_that_was_laid_out(serving: Serving) -> None:
    """A component that is made for an update while the page is built becomes a part of it: one without a name."""
    config = httpx.get(f"{serving.url}/config", timeout=60).json()
    buttons = [each["props"] for each in config["components"] if each["type"] == "button"]
    assert len(buttons) > 20
    assert [button["value"] for button in buttons if not button.get("elem_id")] == []
    names = [each["props"]["elem_id"] for each in config["components"] if each["props"].get("elem_id")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("language", ["java", "javascript"])
@pytest.mark.parametrize("pane", ["compare", "branches"])
def test_a_language_brings_its_example_and_keeps_other_code(serving: Serving, pane: str, language: Language) -> None:
    examples = EXAMPLES
    if pane == "compare":
        examples = {each: next(iter(presets("complete", each).values())) for each in EXAMPLES}
    told = fire(serving.url, f"{pane}-language", "input", [language, examples["python"]])
    assert told["output"]["data"][0]["value"] == examples[language]
    told = fire(serving.url, f"{pane}-language", "input", [language, "x = 1"])
    assert told["success"] and "value" not in told["output"]["data"][0]
