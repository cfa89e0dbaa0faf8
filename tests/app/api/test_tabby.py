"""Replayed requests of Tabby's clients: tabby-agent, the language server inside its plugins for VS Code, JetBrains, Vim
and others.

Bodies as in clients/tabby-agent/src: codeCompletion/buildRequest.ts and http/tabbyApiClient.ts (commit 05bbf743).
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.app.api.conftest import MODEL
from tests.app.api.test_editors import LINE, PREFIX, SUFFIX, post

AGENT = {"User-Agent": "Node.js/v20.11.1 tabby-agent/1.8.0 Visual-Studio-Code/1.93.0 TabbyML.vscode-tabby/1.12.0"}
SEGMENTS = {"prefix": PREFIX + LINE, "suffix": SUFFIX, "filepath": "src/area.py"}


def completed(http: httpx.Client, **fields: Any) -> Any:
    body = {"language": "python", "segments": SEGMENTS, "user": "client-1", "temperature": 0, **fields}
    return post(http, "/v1/completions", body)


def test_a_completion_from_segments(http: httpx.Client) -> None:
    expected = post(
        http,
        "/v1/fim/completions",
        {
            "prompt": PREFIX + LINE,
            "suffix": SUFFIX,
            "temperature": 0,
            "max_tokens": 64,
            "stop": "\n\n",
            "stop_repetition": True,
        },
    )["choices"][0]["message"]["content"]
    answer = completed(http)
    assert answer["choices"] == [{"index": 0, "text": expected}]
    assert answer["id"].startswith("cmpl-") and answer["model"] == MODEL
    assert completed(http, model="test/tiny@other")["model"] == "test/tiny@other"


def test_snippets_go_before_the_code_the_most_relevant_last(http: httpx.Client) -> None:
    snippets = {
        "declarations": [{"filepath": "a.py", "body": "a = 1"}],
        "relevant_snippets_from_changed_files": [{"filepath": "b.py", "body": "b = 2", "score": 0.5}],
        "relevant_snippets_from_recently_opened_files": [{"filepath": "c.py", "body": "c = 3", "score": 1}],
        "git_url": "https://example.org/shapes.git",
        "clipboard": "area",
    }
    answer = completed(http, segments={**SEGMENTS, **snippets})
    prefix = f"# c.py\nc = 3\n\n# b.py\nb = 2\n\n# a.py\na = 1\n\n{PREFIX}{LINE}"
    assert answer["choices"] == completed(http, segments={"prefix": prefix, "suffix": SUFFIX})["choices"]
    assert answer["choices"] != completed(http)["choices"]


@pytest.mark.parametrize("language", ["typescriptreact", "go", "unknown", None])
def test_every_language_of_an_editor_is_taken(http: httpx.Client, language: str | None) -> None:
    assert completed(http, language=language)["choices"]


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"segments": {"suffix": "x"}}, "segments.prefix: Field required"),
        ({"segments": "x"}, "segments: Input should be a"),
        ({"mode": "next_edit_suggestion"}, "mode: This server does not support it"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
    ],
)
def test_bad_bodies_are_explained(http: httpx.Client, fields: dict[str, Any], message: str) -> None:
    answer = http.post("/v1/completions", json={"language": "python", "segments": SEGMENTS, **fields})
    assert answer.status_code == 400 and answer.json()["error"]["message"].startswith(message)


def test_openais_bodies_are_still_told_apart(http: httpx.Client) -> None:
    assert post(http, "/v1/completions", {"prompt": "x = ", "segments": None})["object"] == "text_completion"
    refused = http.post("/v1/completions", json={"prompt": "x", "max_tokens": -1})
    assert refused.json()["error"]["message"].startswith("max_tokens: ")


def test_the_connection_of_a_client(http: httpx.Client) -> None:
    health = http.get("/v1/health").json()
    assert (health["model"], health["device"], health.get("chat_model")) == (MODEL, "cpu", None)
    assert health["version"]["git_describe"] and health["status"] == "ok"
    assert http.get("/v1beta/server_setting").json() == {"disable_client_side_telemetry": True}
    assert http.get("/v1beta/nothing").status_code == 404


def test_events_are_counted_by_revision_language_and_editor(http: httpx.Client) -> None:
    answer = http.post("/v1/completions", json={"language": "python", "segments": SEGMENTS}, headers=AGENT).json()
    event = {"completion_id": answer["id"], "choice_index": 0, "view_id": "view-1"}

    def report(query: str = "", **fields: Any) -> Any:
        said = http.post(f"/v1/events{query}", json={**event, **fields}, headers=AGENT)
        assert said.status_code == 200, said.text
        return said.json()

    counted = report(type="view")
    assert {name: counted[name] for name in ("event", "model", "language", "editor")} == {
        "event": "shown",
        "model": MODEL,
        "language": "python",
        "editor": "vscode",
    }
    assert report("?select_kind=line", type="select", select_kind="line", elapsed=900)["event"] == "partly_accepted"
    assert report(type="select", elapsed=900)["event"] == "accepted"
    assert report(type="dismiss", elapsed=900)["event"] == "dismissed"


@pytest.mark.parametrize(
    "fields,status,message",
    [
        ({"type": "applaud"}, 400, "there are view, select, dismiss"),
        ({"completion_id": "cmpl-1"}, 400, "This server did not issue this id"),
        ({"completion_id": "cmpl-1:python:test/none@main"}, 404, "test/none"),
        ({"completion_id": None}, 400, "completion_id: Field required"),
    ],
)
def test_bad_events_are_explained(http: httpx.Client, fields: dict[str, Any], status: int, message: str) -> None:
    event = {"type": "view", "completion_id": f"cmpl-1:python:{MODEL}", "choice_index": 0, **fields}
    answer = http.post("/v1/events", json=event)
    assert answer.status_code == status and message in answer.json()["error"]["message"]
