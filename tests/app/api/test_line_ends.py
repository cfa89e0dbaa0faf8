"""CRLF line endings in every protocol: the same text as with LF, with CRLF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from santacoder.tokenizer import Tokenizer

CODE = "def area(w, h):\n    return w * h\n\n\ndef perimeter(w, h):\n"
SUFFIX = "\n\nprint(area(2, 3))\n"

Ask = Callable[[httpx.Client, Callable[[str], str], int], str]


def openai(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    body = {"prompt": ends(CODE), "suffix": ends(SUFFIX), "max_tokens": 60, "seed": seed}
    return http.post("/v1/completions", json=body).json()["choices"][0]["text"]


def openai_streamed(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    body = {"prompt": ends(CODE), "max_tokens": 60, "seed": seed, "stream": True}
    lines = http.post("/v1/completions", json=body).text.split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]
    return "".join(event["choices"][0]["text"] for event in events)


def mistral(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    body = {"prompt": ends(CODE), "suffix": ends(SUFFIX), "max_tokens": 60, "random_seed": seed, "temperature": 1}
    return http.post("/v1/fim/completions", json=body).json()["choices"][0]["message"]["content"]


def llama_cpp(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    return http.post("/completion", json={"prompt": ends(CODE), "n_predict": 60, "seed": seed}).json()["content"]


def infill(http: httpx.Client, ends: Callable[[str], str], seed: int, n_indent: int = 0) -> str:
    body: dict[str, Any] = {"input_prefix": ends(CODE), "input_suffix": ends(SUFFIX), "prompt": "    "}
    body["logit_bias"] = [["\n", 5]]
    body |= {"input_extra": [{"filename": "a.py", "text": ends("x = 1\n")}, {"text": "y = 2\r\n"}]}
    return http.post("/infill", json={**body, "n_predict": 60, "seed": seed, "n_indent": n_indent}).json()["content"]


def tgi(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    body = {"inputs": ends(CODE), "parameters": {"max_new_tokens": 60, "seed": seed, "do_sample": True}}
    return http.post("/generate", json=body).json()["generated_text"]


def tgi_streamed(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    body = {"inputs": ends(CODE), "parameters": {"max_new_tokens": 60, "seed": seed, "do_sample": True}}
    lines = http.post("/generate_stream", json=body).text.split("\n\n")
    events = [json.loads(line.removeprefix("data:")) for line in lines if line]
    text = "".join(event["token"]["text"] for event in events)
    assert text == events[-1]["generated_text"]
    return text


def ollama(http: httpx.Client, ends: Callable[[str], str], seed: int) -> str:
    options = {"num_predict": 60, "seed": seed, "temperature": 2, "top_k": 0}
    body = {"prompt": ends(CODE), "suffix": ends(SUFFIX), "options": options, "stream": False}
    return http.post("/api/generate", json=body).json()["response"]


@pytest.mark.parametrize(
    "ask",
    [openai, openai_streamed, mistral, llama_cpp, infill, tgi, tgi_streamed, ollama],
    ids=lambda ask: ask.__name__,
)
def test_crlf_gets_the_same_text_with_crlf(http: httpx.Client, ask: Ask) -> None:
    def texts(ends: Callable[[str], str]) -> list[str]:
        with ThreadPoolExecutor(8) as pool:  # the server computes them together
            return list(pool.map(lambda seed: ask(http, ends, seed), range(8)))

    with_lf = texts(str)
    assert "\n" in "".join(with_lf)
    assert texts(crlf) == [crlf(text) for text in with_lf]


def test_lines_indented_less_end_a_text_with_crlf(http: httpx.Client) -> None:
    texts = [infill(http, str, seed, n_indent=4) for seed in range(8)]
    assert texts != [infill(http, str, seed) for seed in range(8)]
    assert [infill(http, crlf, seed, n_indent=4) for seed in range(8)] == [crlf(text) for text in texts]


def crlf(text: str) -> str:
    return re.sub(r"(?<!\r)\n", "\r\n", text)


def test_a_stop_sequence_of_either_kind_ends_a_text(http: httpx.Client, tokenizer: Tokenizer) -> None:
    (line_break,) = tokenizer.encode("\n")
    body = {"max_tokens": 100, "seed": 1, "logit_bias": {str(line_break): 5}}
    ends = [("\n", CODE), ("\r\n", CODE), ("\n", crlf(CODE)), ("\r\n", crlf(CODE))]
    answers = [
        http.post("/v1/completions", json={**body, "prompt": prompt, "stop": [stop]}).json()["choices"][0]
        for stop, prompt in ends
    ]
    assert {answer["finish_reason"] for answer in answers} == {"stop"}
    assert len({answer["text"] for answer in answers}) == 1 and "\r" not in answers[0]["text"]


def test_offsets_and_tokens_are_those_of_the_text(http: httpx.Client) -> None:
    body = {"prompt": crlf(CODE), "max_tokens": 40, "seed": 1, "logprobs": 1, "echo": True}
    choice = http.post("/v1/completions", json=body).json()["choices"][0]
    assert choice["text"].startswith(crlf(CODE))
    tokens, offsets = choice["logprobs"]["tokens"], choice["logprobs"]["text_offset"]
    shown = [pair for pair in zip(tokens, offsets, strict=True) if pair[0] != "<|endoftext|>"]
    assert "".join(token for token, _ in shown) == choice["text"]
    assert all(choice["text"][offset:].startswith(token) for token, offset in shown)


def test_the_stopping_word_is_told_as_it_was_sent(http: httpx.Client) -> None:
    body = {"prompt": crlf(CODE), "n_predict": 100, "seed": 1, "stop": ["\r\n"]}
    answer = http.post("/completion", json=body).json()
    assert (answer["stop_type"], answer["stopping_word"]) == ("word", "\r\n")
