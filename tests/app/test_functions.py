"""The page's functions as other programs call them, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from app.settings import Settings
from tests.app.api.conftest import serve

CODE = "def area(width, height):\n    return "


def test_a_function_gives_what_the_api_gives(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu")
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=60) as client:
        call = "/gradio_api/call/complete_code"
        event = client.post(call, json={"data": [CODE, "", 12, 0]}).json()["event_id"]
        last = client.get(f"{call}/{event}").text.strip().split("\n")[-1]
        body = {"prompt": CODE, "max_tokens": 12, "temperature": 0}
        text = client.post("/v1/completions", json=body).json()["choices"][0]["text"]
    assert json.loads(last.removeprefix("data: ")) == [text]
