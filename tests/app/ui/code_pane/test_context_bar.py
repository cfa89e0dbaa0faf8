"""What is said below the editor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.settings import Settings
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import serve
from tests.app.page_events import fire
from tests.conftest import random_model


@pytest.mark.parametrize("recorded,other", [("psm", "spm"), ("spm", "psm")])
def test_an_order_that_the_revision_fills_worse_is_said(
    recorded: str, other: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    files = {"generation_config.json": json.dumps({"fim_order": recorded})}
    checkpoints.publish(random_model(), tokenizer, "test/tiny", files=files, store=tmp_path)
    checkpoints.publish(random_model(), tokenizer, "test/tiny", "silent", store=tmp_path)
    with serve(Settings(store=tmp_path, model="test/tiny", device="cpu")) as serving:

        def said(order: str, branch: str = "main") -> str:
            data = ["a <FILL_HERE> b", order, "test/tiny", branch, "", 8]
            told = fire(serving.url, "infill-order", "input", data)
            assert told["success"]
            return str(told["output"]["data"][0])

        better = {"psm": "prefix", "spm": "suffix"}[recorded]
        assert f"This revision fills gaps better {better} first." in said(other)
        for quiet in (said("auto"), said(recorded), said(other, "silent")):
            assert "better" not in quiet and "tokens of code" in quiet
