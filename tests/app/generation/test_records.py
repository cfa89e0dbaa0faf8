"""Generations as data: stored JSON is read back identically, or rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.generation.records import MARK, Alternative, Candidate, Completion, Generation, Token
from santacoder.sampling import SamplingParams

logprobs = st.floats(-100, 0)
ids = st.integers(0, 50_000)
alternatives = st.builds(Alternative, st.text(max_size=5), ids, logprobs)
tokens = st.builds(Token, st.text(max_size=5), ids, st.none() | logprobs, st.lists(alternatives, max_size=3).map(tuple))
completions = st.builds(
    Completion,
    st.text(max_size=20),
    st.lists(tokens, max_size=3).map(tuple),
    st.sampled_from(["stop", "length", "cancelled", "error"]),
    st.integers(0, 2**32 - 1),
)
samplings = st.builds(
    SamplingParams,
    max_new_tokens=st.integers(0, 512),
    temperature=st.floats(0, 5),
    top_p=st.floats(0.01, 1),
    seed=st.none() | st.integers(0, 2**32 - 1),
    stop=st.lists(st.text(min_size=1, max_size=4), max_size=2).map(tuple),
)


@st.composite
def generations(draw: st.DrawFn) -> Generation:
    parts = draw(st.lists(st.text(max_size=30), min_size=1, max_size=4).map(tuple))
    n_gaps = max(1, len(parts) - 1)
    candidates = st.lists(completions, max_size=n_gaps).map(lambda gaps: Candidate(tuple(gaps)))
    return Generation(
        pane=draw(st.sampled_from(["complete", "infill"])),
        language=draw(st.sampled_from(["python", "java", "javascript"])),
        parts=parts,
        sampling=draw(samplings),
        fim_order=draw(st.sampled_from(["psm", "spm"])),
        repo_id="santacoder/nano",
        revision=draw(st.text(max_size=10)),
        sha="0e8ba220453462a2996e4269086ffba24cbcdba4",
        runner="torch, fp32, cpu",
        candidates=tuple(draw(st.lists(candidates, max_size=3))),
        n_prompt=draw(st.integers(0, 2048)),
        seconds_to_first_token=draw(st.floats(0, 100)),
        tokens_per_second=draw(st.floats(0, 1e5)),
    )


@given(generations())
def test_what_is_written_is_read_again(generation: Generation) -> None:
    assert Generation.from_json(generation.to_json()) == generation


@given(generations())
def test_the_code_without_its_spans_is_what_the_user_wrote(generation: Generation) -> None:
    for index, candidate in enumerate(generation.candidates):
        code, spans = generation.code(index), generation.spans(index)
        assert [code[begin:end] for begin, end in spans] == [text.text for text in candidate.completions]
        rest, position = "", 0
        for begin, end in spans:
            rest += code[position:begin]
            position = end
        left = len(generation.parts) - 1 - len(spans)
        assert (rest + code[position:]).count(MARK) >= left
        assert left > 0 or rest + code[position:] == "".join(generation.parts)


def example() -> dict[str, Any]:
    token = Token("x", 3, -0.1, (Alternative("x", 3, -0.1),))
    generation = Generation(
        pane="infill",
        language="python",
        parts=("a = ", "\n"),
        sampling=SamplingParams(),
        fim_order="psm",
        repo_id="santacoder/nano",
        revision="main",
        sha="0" * 40,
        runner="torch, fp32, cpu",
        candidates=(Candidate((Completion("x", (token,), "length", 7),)),),
        n_prompt=3,
        seconds_to_first_token=0.1,
        tokens_per_second=100.0,
    )
    return json.loads(generation.to_json())


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"pane": "other"}, "at pane, Input should be 'complete' or 'infill'."),
        ({"parts": []}, "needs the code that it started from."),
        (
            {"candidates": [{"completions": example()["candidates"][0]["completions"] * 2}]},
            "has 1 gap(s), but a candidate has",
        ),
        ({"sampling": {"top_p": 7}}, "at sampling, top_p must be above 0 and at most 1, not 7.0."),
        ({"seconds_to_first_token": float("nan")}, "at seconds_to_first_token, Input should be"),
        ({"n_prompt": "many"}, "at n_prompt, Input should be a valid integer"),
        ({"candidates": None}, "at candidates, Input should be a valid"),
        ({"candidates": [{**example()["candidates"][0], "n_alike": -5}]}, "at candidates.0.n_alike, Input should be"),
    ],
)
def test_what_is_malformed_is_refused_with_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="^This is not a stored generation: ") as refusal:
        Generation.from_json(json.dumps({**example(), **change}))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"pane":', "\x00", b"\xff\xfe"])
def test_what_is_no_generation_at_all_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="^This is not a stored generation: "):
        Generation.from_json(text)
