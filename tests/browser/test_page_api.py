"""Input that no keyboard can type, sent to the page's functions like its script does."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence

import pytest

from app.generation.records import MARK
from tests.browser.conftest import Server

PARAMETERS = [5, 0, 1, 0, 1, "", "", "none", False]


def streamed(
    server: Server, name: str, code: str, order: str = "psm", parameters: Sequence[object] = PARAMETERS
) -> list[str]:
    """The lines that the function streams."""
    request = urllib.request.Request(
        f"{server.url}/gradio_api/call/{name}",
        # ASCII JSON, as a lone surrogate has no other form
        json.dumps({"data": [code, "python", 1, order, "test/tiny", "main", "", *parameters]}).encode("ascii"),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        event_id = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{server.url}/gradio_api/call/{name}/{event_id}", timeout=60) as response:
        return response.read().decode().splitlines()


def call(
    server: Server, name: str, code: str, order: str = "psm", parameters: Sequence[object] = PARAMETERS
) -> list[str]:
    """The code and the status at the end of the function's stream."""
    lines = streamed(server, name, code, order, parameters)
    assert "event: error" not in lines
    result = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: [")][-1]
    return [value["value"] if isinstance(value, dict) and "value" in value else value for value in result]


@pytest.mark.parametrize(
    "code,sentence",
    [
        ("ab\ud800", "a lone surrogate (U+D800) at character 3"),
        ("ab\0", "NUL character at position 3"),
        ("", "There is no code to start from"),
    ],
)
def test_what_is_no_source_text_is_a_sentence(server: Server, code: str, sentence: str) -> None:
    assert sentence in "".join(streamed(server, "complete", code))


def test_a_million_characters_are_continued_with_a_notice(server: Server) -> None:
    code = "x = 1\n" * 170_000
    result = call(server, "complete", code)
    assert result[0].startswith(code) and len(result[0]) > len(code)
    assert "The model reads only the last" in result[1]
    result = call(server, "infill", f"{code}{MARK}{code}", "spm")
    assert result[0].startswith(code) and result[0].endswith(code) and len(result[0]) > 2 * len(code)
    assert "The model reads only the first" in result[1]


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_special_tokens_in_the_code_stay_text(server: Server, order: str) -> None:
    code = f"<fim-prefix>a{MARK}b<|endoftext|>"
    result = call(server, "infill", code, order)[0]
    assert result.startswith("<fim-prefix>a") and result.endswith("b<|endoftext|>")
