"""The page as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.app.api.conftest import Serving, serve


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
