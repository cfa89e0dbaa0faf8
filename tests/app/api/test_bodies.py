"""Behaviour common to all protocols: null is the default, any content type is read as JSON, errors are sentences."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.api.llama_cpp.bodies import CompletionBody as LlamaCppBody
from app.api.llama_cpp.bodies import InfillBody
from app.api.mistral import FimBody
from app.api.ollama import GenerateBody as OllamaBody
from app.api.ollama import Options
from app.api.openai import CompletionBody
from app.api.tgi import GenerateBody as TgiBody
from app.api.tgi import Parameters

# a body of each protocol that has nothing but what it needs, and the bodies inside it
BODIES: list[tuple[str, type[Any], dict[str, Any], dict[str, type[Any]]]] = [
    ("/v1/completions", CompletionBody, {"prompt": "x", "seed": 1}, {}),
    ("/v1/fim/completions", FimBody, {"prompt": "x", "random_seed": 1}, {}),
    ("/completion", LlamaCppBody, {"prompt": "x", "seed": 1, "n_predict": 9}, {}),
    ("/infill", InfillBody, {"input_prefix": "x", "seed": 1, "n_predict": 9}, {}),
    ("/generate", TgiBody, {"inputs": "x", "parameters": {"max_new_tokens": 9}}, {"parameters": Parameters}),
    ("/", TgiBody, {"inputs": "x", "parameters": {"max_new_tokens": 9}}, {"parameters": Parameters}),
    (
        "/api/generate",
        OllamaBody,
        {"prompt": "x", "stream": False, "options": {"seed": 1, "num_predict": 9}},
        {"options": Options},
    ),
]
TIMES = ("created", "created_at", "id", "timings", "id_slot")


def told(http: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    if isinstance(found, list):
        return found
    return {name: value for name, value in found.items() if name not in TIMES and "duration" not in name}


def with_nulls(body: dict[str, Any], model: type[Any], inside: dict[str, type[Any]]) -> dict[str, Any]:
    nulls = dict.fromkeys(model.model_fields)
    nested = {name: with_nulls(body.get(name, {}), inner, {}) for name, inner in inside.items()}
    return {**nulls, **body, **nested}


@pytest.mark.parametrize("path,model,body,inside", BODIES, ids=[body[0] for body in BODIES])
def test_null_is_the_default_at_every_depth(
    http: httpx.Client, path: str, model: type[Any], body: dict[str, Any], inside: dict[str, type[Any]]
) -> None:
    full = with_nulls(body, model, inside)
    assert len(full) > 8 or inside
    assert told(http, path, full) == told(http, path, body)


@pytest.mark.parametrize("path,model,body,inside", BODIES, ids=[body[0] for body in BODIES])
def test_null_for_what_is_inside(
    http: httpx.Client, path: str, model: type[Any], body: dict[str, Any], inside: dict[str, type[Any]]
) -> None:
    for name in inside:
        assert http.post(path, json={**body, name: None}).status_code == 200


def test_null_in_what_has_no_fields_of_its_own(http: httpx.Client) -> None:
    body = {"prompt": "x", "seed": 1, "max_tokens": 9}
    for nulls in ({"stop": [None, ""]}, {"logit_bias": {"5": None}}, {"response_format": {"type": "text", "x": None}}):
        assert told(http, "/v1/completions", {**body, **nulls}) == told(http, "/v1/completions", body)
    for path, field in (("/v1/attribution", "text"), ("/overlap", "document")):
        answer = http.post(path, json={field: "x", "model": None, "language": None, "original": None})
        assert answer.status_code == 404 and "There is no index" in answer.text


@pytest.mark.parametrize("body", [{"prompt": ["a"] * 10_000, "n": 16}, {"prompt": "x", "stop": ["a"] * 20_000}])
def test_too_many_values_are_refused_with_a_sentence(http: httpx.Client, body: dict[str, Any]) -> None:
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 400 and "more than 10,000 values" in answer.json()["error"]["message"]


@pytest.mark.parametrize("header", [{}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "x"}])
def test_json_is_read_whatever_it_is_called(http: httpx.Client, header: dict[str, str]) -> None:
    body = b'{"prompt": "x", "stream": false, "options": {"num_predict": 1}}'
    assert http.post("/api/generate", content=body, headers=header).status_code == 200
    foreign = {**header, "Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"}
    assert http.post("/api/generate", content=body, headers=foreign).status_code == 403


@pytest.mark.parametrize(
    "path,body,sentence",
    [
        ("/v1/completions", {"prompt": {"a": 1}}, "prompt: Input should be text, a list of texts, a list of token ids"),
        ("/v1/completions", {"prompt": ["a", 1]}, "prompt: Input should be text"),
        ("/v1/completions", {"prompt": []}, "prompt: Input should be text"),
        ("/v1/completions", {"prompt": "x", "stop": 5}, "stop: Input should be a string or a list of strings."),
        ("/completion", {"prompt": 5}, "prompt: Input should be text, token ids, a list of both"),
        ("/completion", {"prompt": []}, "prompt: Input should be text, token ids, a list of both"),
        ("/completion", {"prompt": "x", "logit_bias": [1]}, "logit_bias: Input should be pairs of a token id or text"),
        ("/api/generate", {"prompt": "x", "options": {"stop": 5}}, "options.stop: Input should be a string"),
        ("/generate", {"inputs": "x", "parameters": {"stop": [1] * 90}}, "There are 85 more such errors."),
        ("/v1/completions", {"prompt": "x", "logit_bias": {"a": 1}}, "logit_bias: Input should be an object of token"),
        ("/infill", {"input_extra": ["a"]}, "input_extra.0: Input should be a JSON object."),
        ("/v1/completions", {"prompt": "x", "grammar": "y"}, "grammar: This server does not support it; omit it."),
    ],
)
def test_complaints_are_sentences(http: httpx.Client, path: str, body: dict[str, Any], sentence: str) -> None:
    answer = http.post(path, json=body)
    message = answer.json()["error"]
    message = message["message"] if isinstance(message, dict) else message
    assert answer.status_code == 400 and sentence in message and len(message) < 500
    assert "constrained" not in message and "[" not in message.removeprefix("There")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_unknown_paths_answer_in_their_protocols_form(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/v1/chat/completions")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "There is no /v1/chat/completions here. /docs lists all endpoints."
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert http.request(method, "/v1").json()["error"]["message"].startswith("There is no /v1 here.")
    assert http.request(method, "/api/embed").json() == {
        "error": "There is no /api/embed here. /docs lists all endpoints."
    }


@pytest.mark.parametrize(
    "method,path,allowed",
    [
        ("GET", "/v1/completions", "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("PUT", "/infill", "POST"),
        ("GET", "/generate", "POST"),
        ("POST", "/api/tags", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("GET", "/overlap", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
    ],
)
def test_another_method_is_405(http: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 405 and answer.headers["Allow"] == allowed
    assert f"{path} supports only {allowed}" in answer.text


@pytest.mark.parametrize(
    "path", ["/health", "/v1/health", "/v1/models", "/props", "/api/version", "/info", "/metrics", "/"]
)
def test_head_is_get_without_its_body(http: httpx.Client, path: str) -> None:
    get, head = http.get(path), http.head(path)
    assert head.status_code == get.status_code == 200 and head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


def test_penalties_and_top_p_of_openai(http: httpx.Client) -> None:
    body = {"prompt": "x = 1", "max_tokens": 40, "temperature": 0, "ignore_eos": True}
    plain = told(http, "/v1/completions", body)["choices"][0]["text"]
    assert told(http, "/v1/completions", {**body, "temperature": 1, "top_p": 0})["choices"][0]["text"] == plain
    for penalty in ({"frequency_penalty": 2}, {"presence_penalty": 2}):
        assert told(http, "/v1/completions", {**body, **penalty})["choices"][0]["text"] != plain


def test_names_of_one_model(http: httpx.Client) -> None:
    names = ("test/tiny", "test/tiny:latest", "test/tiny@main", "test/tiny:main")
    texts = {told(http, "/completion", {"prompt": "x", "seed": 1, "model": name})["content"] for name in names}
    assert len(texts) == 1
