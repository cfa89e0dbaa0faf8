"""What became of suggestions, from a client's report to the metrics; and branches that are compared by use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from limits import parse_many

from app import limits
from app.settings import Settings
from tests.app.api.conftest import MODEL, Serving, serve
from tests.app.api.test_editors import LINE, PREFIX, SUFFIX, post


@pytest.fixture(scope="module")
def split(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that divides its clients, who have keys, between two branches."""
    url = f"sqlite:///{tmp_path_factory.mktemp('split')}/shares.db"
    settings = Settings(
        store=store,
        model="test/tiny",
        device="cpu",
        page=False,
        database_url=url,
        split="main=50,other=50",
        api_keys=",".join(f"key-{number}" for number in range(8)),
    )
    with serve(settings) as serving:
        yield serving


def client(serving: Serving, number: int) -> httpx.Client:
    return httpx.Client(base_url=serving.url, timeout=30, headers={"Authorization": f"Bearer key-{number}"})


def counts(http: httpx.Client) -> dict[str, float]:
    lines = http.get("/metrics").text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines)
        if name.startswith("santacoder_suggestion")
    }


def test_each_client_gets_one_branch_and_is_told_which(split: Serving) -> None:
    found = {}
    for number in (2, 3):
        with client(split, number) as http:
            prompt = {"prompt": "x = ", "max_tokens": 1}
            names = {post(http, "/v1/completions", prompt)["model"] for _ in range(2)}
            names.add(post(http, "/v1/completions", {**prompt, "model": "test/tiny"})["model"])
            names.add(post(http, "/v1/fim/completions", {**prompt, "model": "test/tiny"})["model"])
            names.add(post(http, "/infill", {"input_prefix": "x = ", "n_predict": 1})["model"])
            ollama = {**prompt, "model": "test/tiny:latest", "stream": False, "options": {"num_predict": 1}}
            names.add(post(http, "/api/generate", ollama)["model"])
            names.add(post(http, "/v1/completions", {"segments": {"prefix": PREFIX}})["model"])
            (found[number],) = names
            for named in ("test/tiny@main", "test/tiny@other"):
                assert post(http, "/v1/completions", {**prompt, "model": named})["model"] == named
    assert set(found.values()) == {"test/tiny@main", "test/tiny@other"}


def test_feedback_is_counted_and_reported_with_an_interval(split: Serving) -> None:
    with client(split, 0) as http:
        model = post(http, "/v1/completions", {"prompt": "x = ", "max_tokens": 1})["model"]
        report = {"model": model, "language": "typescript", "editor": "Zed"}
        for event in ("shown", "shown", "shown", "accepted", "dismissed", "partly_accepted"):
            counted = post(http, "/v1/feedback", {**report, "event": event, "text": "secret"})
        assert (counted["model"], counted["language"], counted["editor"]) == (model, "javascript", "zed")
        found = counts(http)
        labels = f'editor="zed",event="shown",language="javascript",model="{model}"'
        assert found[f"santacoder_suggestions_total{{{labels}}}"] == 3
        bounds = [
            found[f'santacoder_suggestion_acceptance{{bound="{bound}",model="{model}"}}']
            for bound in ("lower", "rate", "upper")
        ]
        assert bounds[1] == pytest.approx(2 / 3) and bounds[0] < bounds[1] < bounds[2]
        # without a model, it is for the client's own branch
        assert post(http, "/v1/feedback", {"event": "shown"})["model"] == model
        assert "secret" not in http.get("/metrics").text


def test_a_commit_is_counted_under_its_full_name(split: Serving) -> None:
    with client(split, 1) as http:
        commit = post(http, "/v1/feedback", {"event": "shown", "model": MODEL})["commit"]
        counted = post(http, "/v1/feedback", {"event": "shown", "model": f"test/tiny@{commit[:12]}"})
        assert counted["model"] == f"test/tiny@{commit}"


@pytest.mark.parametrize(
    "body,status,message",
    [
        ({}, 400, "event: Field required"),
        ({"event": "loved"}, 400, "event: Input should be 'shown', 'accepted', 'partly_accepted' or 'dismissed'"),
        ({"event": "shown", "model": "a/b"}, 404, "There is no model"),
        ({"event": "shown", "model": "test/tiny@none"}, 404, "none"),
        ([], 400, "Input should be a JSON object"),
    ],
)
def test_bad_feedback_is_explained(http: httpx.Client, body: Any, status: int, message: str) -> None:
    answer = http.post("/v1/feedback", json=body)
    assert answer.status_code == status and message in answer.json()["error"]["message"]


def test_feedback_needs_a_key_and_has_a_rate_limit(split: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"event": "shown"}
    assert httpx.post(f"{split.url}/v1/feedback", json=body).status_code == 401
    monkeypatch.setitem(limits._PARSED, "feedback", parse_many("3/minute"))
    with client(split, 7) as http:
        answers = [http.post("/v1/feedback", json=body) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"]
    with client(split, 6) as http:  # each key is counted alone
        assert http.post("/v1/feedback", json=body).status_code == 200


def test_fields_in_the_address(http: httpx.Client) -> None:
    """What an editor does not let its user set."""
    body = {"prompt": PREFIX + LINE, "suffix": SUFFIX}
    greedy = post(http, "/v1/completions", {**body, "temperature": 0, "max_tokens": 3})
    asked = post(http, "/v1/completions?temperature=0&max_tokens=3", {**body, "temperature": None})
    assert asked["choices"] == greedy["choices"]
    assert post(http, "/v1/completions?max_tokens=3", {**body, "max_tokens": 1})["usage"]["completion_tokens"] == 1
    options = {"prompt": "x = ", "stream": False}
    answer = post(http, "/api/generate?options.num_predict=2&model=test/tiny:other", options)
    assert answer["eval_count"] <= 2 and answer["model"] == "test/tiny:other"
    named_otherwise = {**body, "max_completion_tokens": 1}
    assert post(http, "/v1/completions?max_tokens=3", named_otherwise)["usage"]["completion_tokens"] == 1
    assert (
        post(http, "/completion?n_predict=3&n_cmpl=2&n_probs=4", {**body, "max_tokens": 1, "n": 1, "logprobs": 2})[
            "generation_settings"
        ].items()
        >= {"n_predict": 1, "n_probs": 2}.items()
    )
    refused = http.post("/v1/completions?temperature=hot", json=body)
    assert refused.status_code == 400 and "temperature: Input should be a valid number" in refused.text
    for path in ("/v1/completions?a.b.c=1&.=2&prompt.x=3", "/v1/completions?api-version=1"):
        assert http.post(path, json={**body, "max_tokens": 1}).status_code == 200
    assert http.post("/v1/completions?x=1", content=b"[1").status_code == 400
