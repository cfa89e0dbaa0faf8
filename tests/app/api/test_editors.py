"""Replayed requests of editors: Zed, llama.vim and llama.vscode, Continue, Twinny, llm-ls.

Each as in the client's source, whose version is in docs/editors.md. tests/app/api/test_tabby.py has Tabby's clients.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.app.api.conftest import MODEL, serve

PREFIX = "def area(width, height):\n"
LINE = "    return "
SUFFIX = "\n\nprint(area(2, 3))\n"
LLAMA_VIM = {
    "id_slot": 0,
    "input_prefix": PREFIX,
    "input_suffix": SUFFIX,
    "input_extra": [],
    "prompt": LINE,
    "n_predict": 16,
    "stop": [],
    "n_indent": 0,
    "top_k": 40,
    "top_p": 0.9,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": [
        "content",
        "timings/prompt_n",
        "timings/prompt_ms",
        "timings/prompt_per_second",
        "timings/predicted_n",
        "timings/predicted_ms",
        "timings/predicted_per_second",
        "truncated",
        "tokens_cached",
    ],
}
MARKED = f"<fim_prefix><fim_suffix>{SUFFIX}<fim_middle>{PREFIX}{LINE}"


def post(http: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def filled(http: httpx.Client) -> str:
    """The model's greedy middle between prefix and suffix."""
    body = {"model": MODEL, "prompt": PREFIX + LINE, "suffix": SUFFIX, "temperature": 0}
    text = post(http, "/v1/completions", body)["choices"][0]["text"]
    assert isinstance(text, str) and text
    return text


@pytest.fixture
def filled_as_marked(http: httpx.Client) -> str:
    """The same of tokens as they are: there is no token healing where a prompt has marks."""
    body = {"model": MODEL, "prompt": PREFIX + LINE, "suffix": SUFFIX, "temperature": 0, "token_healing": False}
    return str(post(http, "/v1/completions", body)["choices"][0]["text"])


@pytest.fixture
def filled_in_order(http: httpx.Client) -> str:
    """The model's greedy middle of a prompt with the prefix first."""
    prompt = f"<fim-prefix>{PREFIX}{LINE}<fim-suffix>{SUFFIX}<fim-middle>"
    return str(post(http, "/completion", {"prompt": prompt, "n_predict": 16, "temperature": 0})["content"])


def test_llama_vim(http: httpx.Client, filled: str) -> None:
    answer = post(http, "/infill", LLAMA_VIM)
    assert set(answer) == set(LLAMA_VIM["response_fields"])  # type: ignore[call-overload]
    assert answer["content"] == filled and answer["truncated"] is False
    assert answer["timings/predicted_n"] >= 1 and answer["timings/predicted_ms"] >= 0
    again = post(http, "/infill", LLAMA_VIM)
    assert again["content"] == filled and again["timings/prompt_n"] <= 2  # white space at the end is read again


def test_marks_in_the_usual_order(http: httpx.Client) -> None:
    usual = f"<fim_prefix>{PREFIX}{LINE}<fim_suffix>{SUFFIX}<fim_middle>"
    texts = [
        post(http, "/completion", {"prompt": prompt, "n_predict": 16, "temperature": 0})["content"]
        for prompt in (usual, usual.replace("_", "-"), MARKED)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_llama_vim_warms_the_cache(http: httpx.Client) -> None:
    body = {**LLAMA_VIM, "input_prefix": "warm = 1\n" * 3, "prompt": "", "n_predict": 0, "response_fields": [""]}
    assert post(http, "/infill", body) == {}
    body |= {"n_predict": 1, "response_fields": ["timings/prompt_n"]}
    assert post(http, "/infill", body)["timings/prompt_n"] <= 2


def test_llama_vscode(http: httpx.Client, filled: str) -> None:
    """Its health check, its warm-up and its request, which has no response fields, and the limits of a model."""
    assert http.get("/health").status_code == 200
    extra = [{"text": "x = 1\n", "time": 1, "filename": "shapes.py"}]
    common = {"id_slot": 0, "input_extra": extra, "cache_prompt": True, "t_max_prompt_ms": 500}
    warm_up = {"input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 0, "samplers": []}
    warmed = post(http, "/infill", {**common, **warm_up, "t_max_predict_ms": 1})
    assert warmed["content"] == "" and warmed["stop"] is True
    asked = {
        **common,
        "input_prefix": PREFIX,
        "input_suffix": SUFFIX,
        "input_extra": [],
        "prompt": LINE,
        "n_predict": 16,
        "n_cmpl": 3,
        "top_k": 40,
        "top_p": 0.99,
        "stream": False,
        "samplers": ["top_k", "top_p", "infill"],
        "n_indent": 4,
        "t_max_predict_ms": 10_000,
        "model": MODEL,
    }
    answers = post(http, "/infill", asked)
    assert len(answers) == 3 and filled.startswith(answers[0]["content"])
    assert answers[0]["timings"]["predicted_n"] >= 1 and answers[0]["generation_settings"]
    [listed] = [model for model in http.get("/v1/models").json()["data"] if model["id"] == MODEL]
    assert listed["meta"]["n_ctx_train"] == 128
    props = http.get("/props", params={"model": "test/tiny@other", "autoload": "false"}).json()
    assert props["default_generation_settings"]["n_ctx"] == 128 and props["model_alias"] == "test/tiny@other"
    assert http.get("/props", params={"model": "a/b"}).status_code == 404


def test_llama_vscode_over_openai(http: httpx.Client) -> None:
    prompt = f"<fim_prefix>{PREFIX}{LINE}<fim_suffix>{SUFFIX}<fim_middle>"
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 16, "temperature": 0.1, "top_p": 0.99, "stream": False}
    answer = post(http, "/v1/completions", body)
    assert answer["choices"][0]["finish_reason"] and answer["usage"]["total_tokens"] and answer["created"]


def test_zed(http: httpx.Client, filled_in_order: str) -> None:
    """Its provider for servers of one's own, with the prompt format star_coder, and settings in the address."""
    prompt = f"<fim_prefix>{PREFIX}{LINE}<fim_suffix>{SUFFIX}<fim_middle>"
    stop = ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>"]
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 16, "stop": stop}
    answer = post(http, "/v1/completions?temperature=0", body)
    assert answer["choices"][0]["text"] == filled_in_order
    for name, kind in (("id", str), ("object", str), ("created", int), ("model", str)):
        assert isinstance(answer[name], kind)
    assert set(answer["usage"]) >= {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert post(http, "/v1/completions", body)["choices"]


def test_zed_over_ollama(http: httpx.Client, filled_in_order: str) -> None:
    prompt = f"<fim_prefix>{PREFIX}{LINE}<fim_suffix>{SUFFIX}<fim_middle>"
    stop = ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>"]
    options = {"num_predict": 16, "temperature": 0, "stop": stop}
    body = {"model": "test/tiny:main", "prompt": prompt, "raw": True, "stream": False, "options": options}
    answer = post(http, "/api/generate", body)
    assert answer["response"] == filled_in_order and answer["created_at"]


@pytest.mark.parametrize(
    "path,fields",
    [
        ("/api/generate", {"model": "test/tiny:main", "keep_alive": "5m", "options": {"temperature": 0.2}}),
        ("/completion", {"temperature": 0.2, "max_tokens": 16}),
        ("/v1/completions", {"model": MODEL, "temperature": 0.2, "max_tokens": 16}),
    ],
)
def test_twinny(http: httpx.Client, path: str, fields: dict[str, Any]) -> None:
    """Its providers Ollama, llama.cpp and LM Studio, with the template starcoder; it streams all."""
    prompt = f"<fim_prefix>#shapes.py\n\n{PREFIX}{LINE}<fim_suffix>{SUFFIX}<fim_middle>"
    with http.stream("POST", path, json={"prompt": prompt, "stream": True, **fields}) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line and "[DONE]" not in line]
    texts = [json.loads(line) for line in lines]
    shown = {"/api/generate": lambda text: text["response"], "/completion": lambda text: text["content"]}
    written = [shown.get(path, lambda text: text["choices"][0]["text"])(text) for text in texts]
    assert "".join(written) and not any("<fim" in text for text in written)


def test_other_files_go_before_the_prefix(http: httpx.Client) -> None:
    extra = [{"filename": "shapes.py", "text": "x = 1", "time": 12}]
    answer = post(http, "/infill", {**LLAMA_VIM, "input_extra": extra})
    alike = post(http, "/infill", {**LLAMA_VIM, "input_prefix": f"# shapes.py\nx = 1\n\n{PREFIX}"})
    assert answer["content"] == alike["content"]
    many = [{"filename": f"{index}.py", "text": "y = 2\n" * 50} for index in range(20)]
    assert post(http, "/infill", {**LLAMA_VIM, "input_extra": many})["truncated"] is True


def test_special_tokens_in_fields_stay_text(http: httpx.Client) -> None:
    marked = {**LLAMA_VIM, "input_prefix": "a<fim-suffix>b<|endoftext|>", "response_fields": ["tokens_cached"]}
    count = len(post(http, "/tokenize", {"content": "a<fim-suffix>b<|endoftext|>", "parse_special": False})["tokens"])
    rest = len(post(http, "/tokenize", {"content": SUFFIX})["tokens"])
    answer = post(http, "/infill", {**marked, "prompt": "", "n_predict": 0})
    assert answer["tokens_cached"] == count + rest + 3


def test_lines_indented_less_end_the_text(http: httpx.Client) -> None:
    cut = post(http, "/completion", {"prompt": PREFIX, "n_predict": 100, "temperature": 2, "seed": 3, "n_indent": 4})
    assert all(line.startswith("    ") or not line.strip() for line in cut["content"].split("\n")[1:])


def test_continue_over_llama_cpp(http: httpx.Client, filled_as_marked: str) -> None:
    body = {"prompt": MARKED, "n_predict": 16, "temperature": 0, "stream": True}
    with http.stream("POST", "/completion", json=body) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert "".join(event["content"] for event in events) == filled_as_marked
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]


def test_continue_over_tgi(http: httpx.Client, filled_as_marked: str) -> None:
    body = {"inputs": MARKED, "parameters": {"max_new_tokens": 16}}
    with http.stream("POST", "/generate_stream", json=body) as answer:
        events = [json.loads(line.removeprefix("data:")) for line in answer.iter_lines() if line]
    assert "".join(event["token"]["text"] for event in events) == filled_as_marked
    assert events[-1]["generated_text"] == filled_as_marked
    assert events[-1]["details"]["finish_reason"] in ("length", "eos_token")


def test_continue_over_ollama(http: httpx.Client, filled: str) -> None:
    options = {"num_predict": 16, "temperature": 0, "stop": ["<fim_prefix>", ""]}
    body = {"model": "test/tiny:main", "prompt": PREFIX + LINE, "suffix": SUFFIX, "options": options, "raw": True}
    with http.stream("POST", "/api/generate", json=body) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert "".join(line["response"] for line in lines) == filled
    assert lines[-1]["done"] and lines[-1]["done_reason"] in ("stop", "length") and lines[-1]["eval_count"] >= 1
    whole = post(http, "/api/generate", {**body, "stream": False})
    assert whole["response"] == filled
    assert post(http, "/api/generate", {"model": "test/tiny"})["done_reason"] == "load"


def test_ollama_unloads_a_model_without_loading_it(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu")
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=30) as http:
        for keep_alive in (0, 0.0, "0", "0s", "0h0m0.0s"):
            answer = post(http, "/api/generate", {"model": "test/tiny:other", "keep_alive": keep_alive})
            assert answer["model"] == "test/tiny:other" and answer["done_reason"] == "unload"
        assert [model["name"] for model in http.get("/api/ps").json()["models"]] == ["test/tiny:latest"]
        assert http.post("/api/generate", json={"model": "test/tiny:nope", "keep_alive": 0}).status_code == 404


@pytest.mark.parametrize("keep_alive", [None, -1, 300, "5m", "1s0m", "-1"])
def test_ollama_loads_a_model_that_is_kept(http: httpx.Client, keep_alive: float | str | None) -> None:
    assert post(http, "/api/generate", {"model": "test/tiny", "keep_alive": keep_alive})["done_reason"] == "load"


def test_ollamas_bytes_are_those_of_the_text_where_the_end_of_the_prompt_is_healed(http: httpx.Client) -> None:
    body = {"prompt": "x = tok", "stream": False, "options": {"num_predict": 4}, "logprobs": True, "top_logprobs": 20}
    told = post(http, "/api/generate", body)["logprobs"]
    for token in [*told, *(likely for each in told for likely in each["top_logprobs"])]:
        if token["token"] and "\ufffd" not in token["token"]:
            assert bytes(token["bytes"]).decode() == token["token"]


def test_continue_finds_out_that_ollamas_model_fills_gaps(http: httpx.Client) -> None:
    assert ".Suffix" in post(http, "/api/show", {"name": "test/tiny"})["template"]


def test_continue_over_mistral(http: httpx.Client, filled: str) -> None:
    body = {
        "model": MODEL,
        "prompt": PREFIX + LINE,
        "suffix": SUFFIX,
        "max_tokens": 16,
        "temperature": 0,
        "frequency_penalty": 0,
        "stop": ["[PREFIX]", "[SUFFIX]"],
        "stream": True,
    }
    headers = {"x-api-key": "", "Authorization": "Bearer none"}
    with http.stream("POST", "/v1/fim/completions", json=body, headers=headers) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line and "[DONE]" not in line]
    assert "".join(json.loads(line)["choices"][0]["delta"]["content"] for line in lines) == filled


def test_continue_over_openai(http: httpx.Client, filled_in_order: str) -> None:
    stop = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<|endoftext|>", "</fim_middle>", "</code>"]
    prompt = f"<fim_prefix>{PREFIX}{LINE}<fim_suffix>{SUFFIX}<fim_middle>"
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 16, "temperature": 0, "stop": stop, "stream": True}
    with http.stream("POST", "/v1/completions", json=body, headers={"Authorization": "Bearer none"}) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line and "[DONE]" not in line]
    assert "".join(json.loads(line)["choices"][0]["text"] for line in lines) == filled_in_order


def test_llm_ls(http: httpx.Client, filled_as_marked: str) -> None:
    parameters = {"max_new_tokens": 16, "temperature": 0.2, "do_sample": True, "top_p": 0.95, "stop": ["\n\n"]}
    body = {"inputs": MARKED, "parameters": {**parameters, "return_full_text": False, "seed": 1}}
    answer = post(http, "/generate", body)
    assert set(answer) == {"generated_text"} and "\n\n" not in answer["generated_text"]
    greedy = post(http, "/generate", {"inputs": MARKED, "parameters": {"max_new_tokens": 16}})
    assert greedy["generated_text"] == filled_as_marked
    full = {"max_new_tokens": 16, "return_full_text": True, "details": True}
    echoed = post(http, "/generate", {"inputs": PREFIX, "parameters": full})
    assert echoed["generated_text"].startswith(PREFIX) and echoed["details"]["generated_tokens"] >= 1


def test_tokens_there_and_back(http: httpx.Client) -> None:
    text = "def f():\n    return 'é東'  # <fim-prefix>"
    ids = post(http, "/tokenize", {"content": text})["tokens"]
    assert post(http, "/detokenize", {"tokens": ids}) == {"content": text}
    pieces = post(http, "/tokenize", {"content": text, "with_pieces": True})["tokens"]
    assert [piece["id"] for piece in pieces] == ids


def test_what_the_server_says_of_itself(http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/props").json()["default_generation_settings"]["n_ctx"] == 128
    assert http.get("/info").json()["max_total_tokens"] == 128
    names = [model["name"] for model in http.get("/api/tags").json()["models"]]
    assert names == ["test/tiny:latest", "test/tiny:other"]
    assert post(http, "/api/show", {"model": "test/tiny"})["capabilities"] == ["completion", "insert"]


@pytest.mark.parametrize(
    "path,body,status,where",
    [
        ("/infill", {"input_prefix": "x", "n_predict": -5}, 400, ("error", "message")),
        ("/infill", {"input_prefix": "x", "model": "a/b"}, 404, ("error", "message")),
        ("/completion", {"prompt": "x = 1\n" * 200}, 400, ("error", "message")),
        ("/detokenize", {"tokens": [10**12]}, 400, ("error", "message")),
        ("/generate", {"inputs": ""}, 400, ("error",)),
        ("/generate_stream", {"inputs": "x", "parameters": {"temperature": -1}}, 400, ("error",)),
        ("/api/generate", {"model": "llama3", "prompt": "x"}, 404, ("error",)),
        ("/api/show", {"model": "llama3"}, 404, ("error",)),
    ],
)
def test_refusals_are_in_the_protocols_own_form(
    http: httpx.Client, path: str, body: dict[str, Any], status: int, where: tuple[str, ...]
) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == status
    message = answer.json()
    for name in where:
        message = message[name]
    assert isinstance(message, str) and message.endswith(".")
