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


GAPS: list[tuple[str, tuple[str, str], dict[str, Any], str | None]] = [
    ("/v1/completions", ("prompt", "suffix"), {"temperature": 0, "max_tokens": 12}, None),
    ("/v1/fim/completions", ("prompt", "suffix"), {"temperature": 0, "max_tokens": 12}, None),
    ("/infill", ("input_prefix", "input_suffix"), {"temperature": 0, "n_predict": 12}, None),
    ("/infill", ("prompt", "input_suffix"), {"temperature": 0, "n_predict": 12}, None),
    ("/api/generate", ("prompt", "suffix"), {"temperature": 0, "num_predict": 12}, "options"),
]


def filled(http: httpx.Client, prefix: str, **fields: Any) -> str:
    """The text that all protocols put between ``prefix`` and a suffix."""
    found = set()
    for path, (before, behind), options, inside in GAPS:
        body = {before: prefix, behind: "\ny = 2\n", "stream": False}
        answer = post(http, path, body, inside, **options, **fields).json()
        choice = answer["choices"][0] if "choices" in answer else answer
        text = choice.get("message", choice)
        found.add(next(text[key] for key in ("text", "content", "response") if key in text))
    assert len(found) == 1, found
    return found.pop()


@pytest.mark.parametrize(
    "prefix,is_healed", [("retu", True), ("    i", True), ("x = ", True), ("x\r\n", True), ('f("', False)]
)
def test_a_gap_is_healed_unless_its_prefix_ends_in_punctuation(
    http: httpx.Client, prefix: str, is_healed: bool
) -> None:
    healed, plain = filled(http, prefix, token_healing=True), filled(http, prefix, token_healing=False)
    assert healed != plain
    assert filled(http, prefix) == (healed if is_healed else plain)


def test_marks_are_healed_only_if_they_are_told_to(http: httpx.Client) -> None:
    """As harnesses write them, whose protocols know no healing."""

    def text(**fields: Any) -> str:
        body = {"prompt": "<fim_prefix><fim_suffix>\ny = 2\n<fim_middle>retu", "max_tokens": 12, "temperature": 0}
        return str(http.post("/v1/completions", json={**body, **fields}).json()["choices"][0]["text"])

    assert text() == text(token_healing=False) == filled(http, "retu", token_healing=False, fit_gap=False)
    assert text(token_healing=True) == filled(http, "retu", fit_gap=False)


def test_a_line_has_one_line(http: httpx.Client) -> None:
    body = {"prompt": "x = ", "max_tokens": 100, "temperature": 1, "seed": 3}
    whole = http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    line = http.post("/v1/completions", json={**body, "stop_at": "line"}).json()["choices"][0]
    blank = len(whole) - len(whole.lstrip())
    assert line["text"] == whole[:blank] + whole[blank:].split("\n")[0]


def test_what_ended_a_text_is_counted(http: httpx.Client) -> None:
    http.post("/v1/completions", json={"prompt": "x = ", "max_tokens": 100, "stop_at": "line", "seed": 3})
    greedy = {"prompt": "def g", "max_tokens": 100, "temperature": 0, "stop_repetition": True}
    assert http.post("/v1/completions", json=greedy).json()["choices"][0]["finish_reason"] == "stop"
    for by in ("stop_at", "repetition"):
        assert f'santacoder_texts_stopped_total{{by="{by}"}}' in http.get("/metrics").text
