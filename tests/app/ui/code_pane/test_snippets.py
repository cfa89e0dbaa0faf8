"""The page's request as code asks the server for the text that the page writes, whatever order the revision records."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from santacoder import checkpoints
from tests.app.api.conftest import Serving, serve
from tests.app.page_events import fire

PARAMETERS = [12, 0, 1, 0, 1, "", "", "none", False]
CODE = {
    "inside a line": "x = f(<FILL_HERE>)\nprint(x)\n",
    "whole lines": "x = 1\n<FILL_HERE>\nprint(x)\n",
}


@pytest.fixture(scope="module", params=[None, "psm"])
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Serving]:
    """A server whose model records an order, or none."""
    copy = shutil.copytree(store, tmp_path_factory.mktemp("recorded") / "store")
    path = checkpoints.resolve("test/tiny", "main", store=copy) / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fim_order": request.param}))
    with serve(Settings(store=copy, model="test/tiny", device="cpu")) as serving:
        yield serving


@pytest.mark.parametrize("order", ["auto", "psm", "spm"])
@pytest.mark.parametrize("case", CODE)
def test_the_request_as_code_writes_what_the_page_writes(serving: Serving, case: str, order: str) -> None:
    pane = [CODE[case], "python", 1, order, "test/tiny", "main", "", *PARAMETERS]
    with httpx.Client(base_url=serving.url, timeout=60) as client:
        event = client.post("/gradio_api/call/infill", json={"data": pane}).json()["event_id"]
        lines = client.get(f"/gradio_api/call/infill/{event}").text.splitlines()
        *_, last = [line for line in lines if line.startswith("data: [")]
        by_page = json.loads(last.removeprefix("data: "))[0]["value"]
        shown = fire(serving.url, "infill-snippet-rewrite", "click", ["curl", *pane, None, 0])["output"]["data"][0]
        command = shlex.split(shown["value"])
        answer = client.post(command[2], json=json.loads(command[command.index("-d") + 1]))
    prefix, suffix = CODE[case].split("<FILL_HERE>")
    assert by_page == prefix + answer.json()["content"] + suffix
