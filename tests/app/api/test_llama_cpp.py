"""What clients of llama.cpp's server rely on, in addition to the editors' tests."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import Serving

PROMPT = "def area(width, height):\n    return "


# the text begins with the first token, as in llama.cpp, and not where the prompt's last tokens could be others
PLAIN = {"prompt": PROMPT, "n_predict": 12, "seed": 1, "token_healing": False}


def completion(http: httpx.Client, **fields: Any) -> Any:
    answer = http.post("/completion", json={**PLAIN, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def streamed(http: httpx.Client, **fields: Any) -> list[Any]:
    body = {**PLAIN, "stream": True, **fields}
    lines = http.post("/completion", json=body).text.split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]


def test_a_result_has_all_that_it_has_in_llama_cpp(http: httpx.Client, tokenizer: Tokenizer) -> None:
    answer = completion(http, return_tokens=True, ignore_eos=True, temperature=0.5)
    assert tokenizer.decode(answer["tokens"]) == answer["content"] and len(answer["tokens"]) == 12
    assert answer["prompt"] == PROMPT and answer["stop_type"] == "limit" and answer["stopping_word"] == ""
    assert answer["has_new_line"] is ("\n" in answer["content"]) and answer["truncated"] is False
    assert 0 <= answer["id_slot"] < 8 and answer["tokens_evaluated"] == len(tokenizer.encode(PROMPT))
    settings = answer["generation_settings"]
    assert (settings["seed"], settings["n_predict"], settings["temperature"]) == (1, 12, 0.5)
    assert (settings["min_p"], settings["top_k"], settings["ignore_eos"]) == (0.05, 40, True)
    banned = {bias["token"] for bias in settings["logit_bias"] if bias["bias"] is None}
    assert banned == set(tokenizer.special_ids)
    assert completion(http, token_healing=True)["prompt"] == PROMPT
    assert completion(http)["tokens"] == [] and completion(http)["generation_settings"]["logit_bias"] == []


def test_a_stream_has_a_token_an_event(http: httpx.Client, tokenizer: Tokenizer) -> None:
    whole = completion(http, return_tokens=True, n_probs=2)
    *events, last = streamed(http, n_probs=2)
    assert [event["stop"] for event in events] == [False] * len(events) and last["stop"] is True
    assert [token for event in events for token in event["tokens"]] == whole["tokens"]
    assert "".join(event["content"] for event in events) == whole["content"] and last["content"] == ""
    assert all(len(event["completion_probabilities"]) == 1 for event in events)
    assert last["timings"]["predicted_n"] == len(whole["tokens"]) and last["tokens"] == []
    assert last["timings"]["draft_n"] >= last["timings"]["draft_n_accepted"] >= 0
    assert "timings" in streamed(http, timings_per_token=True)[0] and "timings" not in events[0]


def test_probabilities_before_and_after_sampling(http: httpx.Client, tokenizer: Tokenizer) -> None:
    answer = completion(http, n_probs=5, return_tokens=True, ignore_eos=True)
    told = answer["completion_probabilities"]
    assert [token["id"] for token in told] == answer["tokens"]
    for token in told:
        assert token["bytes"] == list(tokenizer.decode_bytes([token["id"]])) and token["logprob"] <= 0
        best = [likely["logprob"] for likely in token["top_logprobs"]]
        assert len(best) == 5 and best == sorted(best, reverse=True)
    after = completion(http, n_probs=5, ignore_eos=True, post_sampling_probs=True, top_k=3, top_p=1, min_p=0)
    for token in after["completion_probabilities"]:
        shares = [likely["prob"] for likely in token["top_probs"]]
        assert len(shares) == 3 and sum(shares) == pytest.approx(1) and token["prob"] in shares
    greedy = completion(http, n_probs=5, post_sampling_probs=True, temperature=0)["completion_probabilities"]
    assert all(token["prob"] == 1 and len(token["top_probs"]) == 1 for token in greedy)


def test_a_bias_in_each_of_its_forms(http: httpx.Client, tokenizer: Tokenizer) -> None:
    (wanted,) = tokenizer.encode("x")
    for bias in ([[wanted, 100]], [["x", 100]], {str(wanted): 100}, {"x": 1000}):
        assert completion(http, logit_bias=bias)["content"] == "x" * 12
    likely = completion(http, temperature=0, n_predict=1, return_tokens=True)["tokens"][0]
    for bias in ([[likely, False]], {str(likely): False}, [[likely, -100]], {str(likely): -100}):
        answer = completion(http, temperature=0, n_predict=1, logit_bias=bias, return_tokens=True)
        assert answer["tokens"] != [likely]


def test_digits_are_a_token_id_only_as_a_key(http: httpx.Client, tokenizer: Tokenizer) -> None:
    (seven,) = tokenizer.encode("7")
    assert seven != 7
    for bias, told in (([["7", 1]], seven), ({"7": 1}, 7), ([[7, 1]], 7)):
        settings = completion(http, logit_bias=bias, n_predict=1)["generation_settings"]
        assert settings["logit_bias"] == [{"bias": 1, "token": told}]


def test_biases_of_texts_are_told_by_their_tokens(http: httpx.Client, tokenizer: Tokenizer) -> None:
    for more in ({}, {"n_cmpl": 2}):
        answers = completion(http, logit_bias={"xy": 1, "z": False}, **more)
        for answer in answers if isinstance(answers, list) else [answers]:
            told = [(bias["token"], bias["bias"]) for bias in answer["generation_settings"]["logit_bias"]]
            assert told == [
                *((id_, 1) for id_ in tokenizer.encode("xy")),
                *((id_, None) for id_ in tokenizer.encode("z")),
            ]


def test_a_time_limit_ends_a_text_at_a_line_break(http: httpx.Client, serving: Serving) -> None:
    bias = {"\n": 100} | dict.fromkeys("bdfgjkpq", 97)
    fields = {"prompt": "1 = 2", "temperature": 0, "frequency_penalty": 2, "presence_penalty": 2, "logit_bias": bias}
    whole = completion(http, **fields, n_predict=40)["content"]
    first, second, *_ = whole.split("\n")
    assert not first and len(second) >= 3
    with serving.failing(seconds=0.02):
        text = completion(http, **fields, n_predict=40, t_max_predict_ms=1)["content"]
    assert text.startswith(f"\n{second}\n") and len(text) < len(whole)


def test_min_logprob_is_compared_with_the_model_whatever_is_reported(http: httpx.Client) -> None:
    """After greedy sampling, the chosen token has the probability 1."""
    fields: dict[str, Any] = {"temperature": 0, "min_logprob": -0.1, "n_probs": 1}
    plain = completion(http, **fields)
    assert plain["tokens_predicted"] < 12, "the random model is unsure"
    assert completion(http, **fields, post_sampling_probs=True)["content"] == plain["content"]


def test_prompts_in_each_of_their_forms(http: httpx.Client, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(PROMPT)
    alone = completion(http)["content"]
    assert completion(http, prompt=ids)["content"] == alone
    assert completion(http, prompt={"prompt_string": PROMPT})["content"] == alone
    several = completion(http, prompt=[PROMPT, ids, {"prompt_string": PROMPT}, [*ids[:3], tokenizer.decode(ids[3:])]])
    assert [answer["index"] for answer in several] == [0, 1, 2, 3]
    assert [answer["content"] for answer in several[:3]] == [alone] * 3
    mixed = completion(http, prompt=[*ids[:2], " + 1", ids[0]])
    assert mixed["tokens_evaluated"] == 3 + len(tokenizer.encode(" + 1"))
    twice = completion(http, prompt=[PROMPT, "x = "], n_cmpl=2)
    assert len(twice) == 4 and twice[0]["content"] == alone != twice[1]["content"]
    assert completion(http, prompt="")["tokens_evaluated"] == 1  # the beginning of a file


def test_a_prompt_that_does_not_fit_is_refused_as_by_llama_cpp(http: httpx.Client, tokenizer: Tokenizer) -> None:
    """Clients shorten their prompt in that case; around a gap, as in an editor, it is truncated."""
    ids = tokenizer.encode("x = 1\n" * 100)
    refused = http.post("/completion", json={"prompt": ids})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["type"], error["n_prompt_tokens"], error["n_ctx"]) == ("exceed_context_size_error", len(ids), 128)
    assert "exceeds the available context size (128 tokens)" in error["message"]
    as_text = http.post("/completion", json={"prompt": "x = 1\n" * 100}).json()["error"]
    assert 128 < as_text["n_prompt_tokens"] <= len(ids)
    gap = completion(http, prompt=f"<fim_prefix>{'x = 1' * 100}<fim_suffix>\n<fim_middle>")
    assert gap["truncated"] is True


def test_no_limit_is_that_of_the_context(http: httpx.Client, tokenizer: Tokenizer) -> None:
    for n_predict in (-1, -2):
        answer = completion(http, n_predict=n_predict, ignore_eos=True)
        assert answer["tokens_predicted"] == 128 - len(tokenizer.encode(PROMPT)) and answer["truncated"]
    ended = completion(http, n_predict=-1, logit_bias=[[tokenizer.end_of_text_id, 100]])
    assert ended["stop_type"] == "eos" and ended["truncated"] is False, "it ended by itself"


def test_values_out_of_range_are_moved_into_it(http: httpx.Client) -> None:
    greedy = completion(http, temperature=0)["content"]
    assert completion(http, temperature=-1)["content"] == greedy
    assert completion(http, top_p=0)["content"] == completion(http, top_p=-3)["content"] == greedy
    everything = completion(http, top_k=0, top_p=1, min_p=0, temperature=2)["content"]
    assert completion(http, top_k=-1, top_p=7, min_p=-1, temperature=2)["content"] == everything


def test_only_named_samplers_are_applied(http: httpx.Client) -> None:
    plain = completion(http, temperature=1, top_k=0, top_p=1, min_p=0)["content"]
    assert completion(http, temperature=0, top_k=1, samplers=[])["content"] == plain
    assert completion(http, temperature=0, top_k=1, samplers="k")["content"] == completion(http, top_k=1)["content"]


def test_without_the_cache_all_is_read(http: httpx.Client) -> None:
    prompt = "shelf = 1\n" * 8
    completion(http, prompt=prompt)
    assert completion(http, prompt=prompt)["timings"]["prompt_n"] == 1
    answer = completion(http, prompt=prompt, cache_prompt=False)
    assert answer["timings"]["cache_n"] == 0 and answer["timings"]["prompt_n"] == answer["tokens_evaluated"] > 8


def test_the_stopping_word(http: httpx.Client) -> None:
    for healing in (False, True):
        word = completion(http, temperature=0, token_healing=healing)["content"][3:5]
        answer = completion(http, temperature=0, token_healing=healing, stop=["never so", word])
        assert (answer["stop_type"], answer["stopping_word"]) == ("word", word)


def test_response_fields(http: httpx.Client) -> None:
    assert set(completion(http, response_fields=[])) >= {"content", "generation_settings", "timings"}
    fields = ["content", "generation_settings/n_predict", "prompt", "nothing"]
    assert set(completion(http, response_fields=fields)) == set(fields[:3])


@pytest.mark.parametrize("fields", [{"max_tokens": 3}, {"max_completion_tokens": 3}, {"n_predict": 3, "max_tokens": 9}])
def test_limits_by_their_other_names(http: httpx.Client, fields: dict[str, int]) -> None:
    body = {"prompt": PROMPT, "ignore_eos": True, **fields}
    assert http.post("/completion", json=body).json()["tokens_predicted"] == 3


@pytest.mark.parametrize(
    "field",
    [
        {"grammar": 'root ::= "x"'},
        {"json_schema": {}},
        {"mirostat": 2},
        {"typical_p": 0.5},
        {"dry_multiplier": 0.8},
        {"xtc_probability": 0.5},
        {"lora": [{"id": 0, "scale": 1}]},
        {"prompt": {"prompt_string": "x", "multimodal_data": ["iVBO"]}},
    ],
)
@pytest.mark.parametrize("path", ["/completion", "/completions"])
def test_what_is_not_supported_is_refused(http: httpx.Client, path: str, field: dict[str, Any]) -> None:
    answer = http.post(path, json={"prompt": PROMPT, **field})
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/completion", "/infill"])
@pytest.mark.parametrize("field", [{"stop": "\ud800"}, {"stop": ["x", "\udfff"]}, {"samplers": "\ud800"}])
def test_what_no_response_could_repeat_is_refused(http: httpx.Client, path: str, field: dict[str, Any]) -> None:
    body = json.dumps({"prompt": PROMPT, "input_prefix": PROMPT, "n_predict": 1, **field})
    answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and "valid Unicode" in answer.json()["error"]["message"]


def test_what_changes_nothing_is_not_refused(http: httpx.Client) -> None:
    harmless = {"grammar": "", "json_schema": None, "mirostat": 0, "typical_p": 1.0, "dry_multiplier": 0, "lora": []}
    assert completion(http, **harmless)["content"] == completion(http)["content"]


def test_penalties_reach_back_as_far_as_asked(http: httpx.Client) -> None:
    body = {"prompt": "a = a + a + a + ", "ignore_eos": True, "n_predict": 40, "temperature": 0}
    plain = completion(http, **body)["content"]
    for penalty in ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"repeat_penalty": 2}):
        assert completion(http, **body, **penalty)["content"] != plain
        assert completion(http, **body, **penalty, repeat_last_n=0)["content"] == plain
        # -1 is the whole context, the prompt included
        far = completion(http, **body, **penalty, repeat_last_n=-1)["content"]
        assert far == completion(http, **body, **penalty, repeat_last_n=120)["content"]


def test_slots_and_props(serving: Serving, http: httpx.Client) -> None:
    assert [slot["id"] for slot in http.get("/slots").json()] == list(range(8))
    assert not any(slot["is_processing"] for slot in http.get("/slots").json())
    body = {"prompt": "x", "stream": True, "ignore_eos": True}
    with serving.failing(seconds=0.2), http.stream("POST", "/completion", json=body) as answer:
        event = json.loads(next(answer.iter_lines()).removeprefix("data: "))
        busy = [slot["id"] for slot in http.get("/slots").json() if slot["is_processing"]]
    assert busy == [event["id_slot"]]
    props = http.get("/props").json()
    assert props["total_slots"] == 8 and props["default_generation_settings"]["params"]["seed"] == 2**32 - 1


def test_errors_of_a_stream_are_events(serving: Serving, http: httpx.Client) -> None:
    with serving.failing(RuntimeError("out of memory")):
        lines = http.post("/completion", json={"prompt": "x", "stream": True}).text.strip().split("\n")
    assert lines[-1].startswith("data: ") and "out of memory" in json.loads(lines[-1][6:])["error"]["message"]
    while http.get("/health").status_code != 200:
        pass


def test_frequency_and_presence_by_hand() -> None:
    """Compared with their definition: one is subtracted from a token's logit for each occurrence, the other once."""
    from santacoder.sampling import Sampler, SamplingParams

    rng = np.random.default_rng(0)
    for n_prompt, last_n in ((3, None), (0, None), (3, 4)):
        logits = rng.normal(size=9).astype(np.float32)
        context = rng.integers(0, 9, size=12).tolist()
        params = SamplingParams(temperature=0, frequency_penalty=0.7, presence_penalty=0.4, penalty_last_n=last_n)
        counted = context[-last_n:] if last_n else context[n_prompt:]
        expected = [logits[i] - 0.7 * counted.count(i) - 0.4 * (i in counted) for i in range(9)]
        assert Sampler(params, n_prompt=n_prompt).choose(logits, context).id == int(np.argmax(expected))


def test_samplers_are_applied_in_the_order_given(http: httpx.Client, tokenizer: Tokenizer) -> None:
    def kept(**fields: Any) -> int:
        """The number of tokens that could have been drawn."""
        answer = completion(http, n_predict=1, n_probs=20, post_sampling_probs=True, temperature=5, top_k=0, **fields)
        return len(answer["completion_probabilities"][0]["top_probs"])

    # at a temperature of 5 more tokens are nearly as likely as the likeliest
    rare = {"min_p": 0.5, "top_p": 1}
    assert kept(**rare) == kept(**rare, samplers=["top_k", "min_p", "temperature"])
    assert kept(**rare, samplers=["temperature", "min_p"]) > kept(**rare)
    for refused in (["min_p", "top_p"], ["top_k", "penalties"], ["top_p", "temperature", "min_p"]):
        fields = {"samplers": refused, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1, "top_k": 5}
        answer = http.post("/completion", json={**PLAIN, **fields})
        assert answer.status_code == 400 and "samplers: This server applies" in answer.json()["error"]["message"]
    # what changes nothing may stand anywhere
    assert completion(http, samplers=["min_p", "top_p", "foo"], top_p=1, min_p=0.1)["content"]


def test_probabilities_are_of_what_is_written_where_the_end_of_the_prompt_is_healed(http: httpx.Client) -> None:
    answer = completion(http, prompt="x = foo.app", n_predict=4, temperature=0, n_probs=1, ignore_eos=True)
    spelled = b"".join(bytes(token["bytes"]) for token in answer["completion_probabilities"])
    assert spelled.decode(errors="ignore").endswith(answer["content"])
    assert len(spelled) <= len(answer["content"].encode()) + 3  # the typed end is not a part of it


def test_positions_count_from_the_beginning_of_each_text(http: httpx.Client) -> None:
    nul, plain = {"filename": "b.py", "text": "ab\0"}, {"filename": "a.py", "text": "x = 1\n" * 9}
    for body, sentence in (
        ({"input_prefix": "x\r\n\0", "input_extra": [plain]}, "The prefix has a NUL character at position 4"),
        ({"input_prefix": "x", "input_extra": [plain, nul]}, "The file 'b.py' has a NUL character at position 3"),
    ):
        assert sentence in http.post("/infill", json=body).json()["error"]["message"]


def test_a_token_with_thousands_of_digits_is_refused(http: httpx.Client) -> None:
    answer = http.post("/completion", json={"prompt": PROMPT, "logit_bias": {"9" * 5000: 1}})
    assert answer.status_code == 400 and "5,000 digits" in answer.json()["error"]["message"]
