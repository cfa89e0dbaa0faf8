"""Where texts end, in the fields of every protocol."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

CALLS: list[tuple[str, dict[str, Any], str | None]] = [
    ("/v1/completions", {"prompt": "x = "}, None),
    ("/v1/completions", {"prompt": "x = ", "suffix": "\ny = 2\n"}, None),
    ("/completion", {"prompt": "x = "}, None),
    ("/infill", {"input_prefix": "x = ", "input_suffix": "\ny = 2\n"}, None),
    ("/generate", {"inputs": "x = "}, "parameters"),
    ("/api/generate", {"prompt": "x = ", "stream": False}, "options"),
]


def post(http: httpx.Client, path: str, body: dict[str, Any], inside: str | None, **fields: Any) -> Any:
    return http.post(path, json={**body, **({inside: fields} if inside else fields)})


@pytest.mark.parametrize("path,body,inside", CALLS)
def test_every_protocol_takes_where_texts_end(
    http: httpx.Client, path: str, body: dict[str, Any], inside: str | None
) -> None:
    fields = {"stop_repetition": True, "fit_gap": False, "language": "TypeScript", "file_name": "a.py"}
    for stop_at in ("none", "line", "block", "function"):
        answer = post(http, path, body, inside, stop_at=stop_at, **fields)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path,body,inside", CALLS)
@pytest.mark.parametrize("field,value", [("stop_at", "paragraph"), ("language", "cobol")])
def test_what_is_unknown_is_said(
    http: httpx.Client, path: str, body: dict[str, Any], inside: str | None, field: str, value: str
) -> None:
    answer = post(http, path, body, inside, **{field: value})
    assert answer.status_code in (400, 422)
    assert field in answer.text


def test_a_line_has_one_line(http: httpx.Client) -> None:
    body = {"prompt": "x = ", "max_tokens": 100, "temperature": 1, "seed": 3}
    whole = http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    line = http.post("/v1/completions", json={**body, "stop_at": "line"}).json()["choices"][0]
    blank = len(whole) - len(whole.lstrip())
    assert line["text"] == whole[:blank] + whole[blank:].split("\n")[0]


def test_what_ended_a_text_is_counted(http: httpx.Client) -> None:
    http.post("/v1/completions", json={"prompt": "x = ", "max_tokens": 100, "stop_at": "line", "seed": 3})
    assert 'santacoder_texts_stopped_total{by="stop_at"}' in http.get("/metrics").text
