"""The engine: its texts, batch invariance, and the release of slots."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from santacoder.engine import sequence as sequence_module
from santacoder.engine.engine import Engine, EngineBusy
from santacoder.engine.events import Finished, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner, Step
from santacoder.engine.sequence import Sequence as EngineSequence
from santacoder.engine.stream import Stream
from santacoder.model import SantaCoder
from santacoder.sampling import Choice, Sampler, SamplingParams
from santacoder.tokenizer import Tokenizer

N_SLOTS = 4


@pytest.fixture(scope="module")
def engine(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> Iterator[Engine]:
    engine = Engine(make_runner(n_slots=N_SLOTS), tokenizer)
    yield engine
    engine.close()


def run(engine: Engine, prefix: str, suffix: str | None = None, **sampling: object) -> tuple[str, list[int], Finished]:
    """The text, ids and last event of a request."""
    return collect(engine.submit(CompletionRequest(prefix, suffix, SamplingParams(**sampling))))  # type: ignore[arg-type]


def collect(stream: Stream) -> tuple[str, list[int], Finished]:
    events = list(stream)
    last = events[-1]
    assert isinstance(last, Finished)
    return (
        "".join(event.text for event in events),
        [event.id for event in events if isinstance(event, TokenEvent)],
        last,
    )


def wait_for_free_slots(engine: Engine) -> None:
    deadline = time.monotonic() + 5
    while engine.n_free_slots < N_SLOTS:
        assert time.monotonic() < deadline, "a slot was not given back"
        time.sleep(0.005)


@torch.no_grad()
def greedy(model: SantaCoder, ids: list[int], count: int, tokenizer: Tokenizer) -> list[int]:
    """Greedy decoding without a cache, up to the first special token; left to right, that is end-of-text."""
    written: list[int] = []
    never = [] if tokenizer.fim_ids.intersection(ids) else list(tokenizer.fim_ids)
    while len(written) < count and not tokenizer.special_ids.intersection(written):
        logits = model(torch.tensor([ids + written]))[0, -1, : tokenizer.vocab_size]
        logits[never] = -torch.inf
        written.append(int(logits.argmax()))
    return written


def test_greedy_text_is_the_models(engine: Engine, model: SantaCoder, tokenizer: Tokenizer) -> None:
    for prompt in ("def f(", "x", "import os\n\nclass A:\n"):
        text, ids, last = run(engine, prompt, temperature=0, max_new_tokens=30)
        expected = greedy(model, tokenizer.encode(prompt), 30, tokenizer)
        assert ids == expected
        assert text == tokenizer.decode(token_id for token_id in expected if token_id not in tokenizer.special_ids)
        assert last.reason == ("stop" if expected[-1] in tokenizer.special_ids else "length")


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_infilling_prompts_have_the_marks(engine: Engine, model: SantaCoder, tokenizer: Tokenizer, order: str) -> None:
    prefix, suffix = tokenizer.encode("def f():\n"), tokenizer.encode("    return x\n")
    start, middle, end = tokenizer.fim_prefix_id, tokenizer.fim_middle_id, tokenizer.fim_suffix_id
    prompt = {"psm": [start, *prefix, end, *suffix, middle], "spm": [start, end, *suffix, middle, *prefix]}[order]
    sampling = SamplingParams(temperature=0, max_new_tokens=20)
    request = CompletionRequest("def f():\n", "    return x\n", sampling, fim_order=order)  # type: ignore[arg-type]
    assert collect(engine.submit(request))[1] == greedy(model, prompt, 20, tokenizer)


def test_special_tokens_typed_by_the_user_stay_text(engine: Engine, model: SantaCoder, tokenizer: Tokenizer) -> None:
    prompt = "a<fim-middle>b"
    assert run(engine, prompt, temperature=0, max_new_tokens=10)[1] == greedy(
        model, tokenizer.encode(prompt), 10, tokenizer
    )


def test_a_seed_gives_the_same_text_alone_and_in_company(engine: Engine) -> None:
    requests = [
        CompletionRequest(f"def f{i}(x):\n" * (1 + i), None, SamplingParams(temperature=1.0, top_p=1.0, seed=i))
        for i in range(12)
    ]
    alone = [collect(engine.submit(request)) for request in requests]
    together = [engine.submit(request) for request in requests]
    assert [collect(stream) for stream in together] == alone
    texts = {text for text, _, _ in alone}
    assert len(texts) == len(requests)


def test_a_drawn_seed_is_reported_and_repeats_the_text(engine: Engine) -> None:
    stream = engine.submit(CompletionRequest("x = ", None, SamplingParams(temperature=1.0)))
    text = collect(stream)[0]
    assert run(engine, "x = ", temperature=1.0, seed=stream.seed)[0] == text


def test_stop_sequences_cut_the_text_exactly(engine: Engine) -> None:
    whole, _, _ = run(engine, "def f(", temperature=0, max_new_tokens=40)
    for start in range(2, len(whole) - 3, 3):
        sequence = whole[start : start + 3]
        text, _, last = run(engine, "def f(", temperature=0, max_new_tokens=40, stop=(sequence, "never there"))
        assert text == whole[: whole.index(sequence)]
        assert last.reason == "stop"


def test_text_held_back_for_a_stop_sequence_is_not_lost(engine: Engine) -> None:
    whole, _, _ = run(engine, "def f(", temperature=0, max_new_tokens=20)
    assert run(engine, "def f(", temperature=0, max_new_tokens=20, stop=(whole[-2:] + "@@@",))[0] == whole


def test_a_text_ends_before_the_first_token_that_is_too_unlikely(engine: Engine, tokenizer: Tokenizer) -> None:
    """If it is the first token, the text is empty."""
    sampling = SamplingParams(temperature=0, max_new_tokens=30)
    tokens = [
        event for event in engine.submit(CompletionRequest("def f(", None, sampling)) if isinstance(event, TokenEvent)
    ]
    for limit in (token.logprob + 1e-4 for token in tokens if token.logprob < -1e-4):
        n_sure = next(index for index, token in enumerate(tokens) if token.logprob < limit)
        text, ids, last = run(engine, "def f(", temperature=0, max_new_tokens=30, min_logprob=limit)
        assert ids == [token.id for token in tokens[:n_sure]]
        assert (text, last.reason) == (tokenizer.decode(ids), "stop")
    assert run(engine, "def f(", temperature=0, max_new_tokens=30, min_logprob=-1000)[1] == [
        token.id for token in tokens
    ]


def test_a_text_may_be_kept_from_ending(engine: Engine, tokenizer: Tokenizer) -> None:
    bias = tuple((token_id, 100.0) for token_id in tokenizer.special_ids)
    for suffix in (None, "y"):
        assert run(engine, "x", suffix, logit_bias=bias)[2].reason == "stop"
        _, ids, last = run(engine, "x", suffix, logit_bias=bias, max_new_tokens=9, ignore_eos=True)
        assert len(ids) == 9 and last.reason == "length" and tokenizer.special_ids.isdisjoint(ids)


def test_penalties_count_what_was_written_alone(engine: Engine) -> None:
    bias = ((5, 50.0), (6, 49.0))
    plain = run(engine, "x", temperature=0, max_new_tokens=6, logit_bias=bias)[1]
    assert (
        run(engine, "x", temperature=0, max_new_tokens=6, logit_bias=bias, frequency_penalty=2)[1] != plain == [5] * 6
    )


def test_alternatives_come_with_each_token(engine: Engine) -> None:
    stream = engine.submit(CompletionRequest("x", None, SamplingParams(temperature=0, top_logprobs=3)))
    for event in stream:
        if isinstance(event, TokenEvent):
            assert len(event.top) == 3
            assert event.top[0] == (event.id, event.logprob)


def test_cancelling_frees_the_slot_and_ends_the_stream(engine: Engine) -> None:
    stream = engine.submit(CompletionRequest("x", None, SamplingParams(temperature=1.0, max_new_tokens=100)))
    events = iter(stream)
    next(events)
    stream.cancel()
    *_, last = events
    assert isinstance(last, Finished) and last.reason in ("cancelled", "stop")
    wait_for_free_slots(engine)


def test_a_waiting_request_can_be_cancelled(engine: Engine) -> None:
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=60)
    streams = [engine.submit(CompletionRequest("x", None, sampling)) for _ in range(N_SLOTS + 2)]
    streams[-1].cancel()
    assert collect(streams[-1])[2].reason == "cancelled"
    for stream in streams[:-1]:
        assert collect(stream)[2].reason in ("length", "stop")
    wait_for_free_slots(engine)


def test_random_requests_and_cancellations_leave_every_slot_free(engine: Engine) -> None:
    chance = random.Random(0)
    threads_before = threading.active_count()
    for _ in range(150):
        sampling = SamplingParams(temperature=1.0, max_new_tokens=chance.randint(1, 12))
        stream = engine.submit(CompletionRequest("x" * chance.randint(1, 300), None, sampling))
        if chance.random() < 0.5:
            stream.cancel()
        else:
            collect(stream)
    wait_for_free_slots(engine)
    assert threading.active_count() == threads_before


@pytest.mark.heavy
def test_ten_thousand_requests_leave_memory_slots_and_threads_as_they_were(engine: Engine) -> None:
    chance = random.Random(0)

    def serve(count: int) -> None:
        streams: list[Stream] = []
        for _ in range(count):
            sampling = SamplingParams(temperature=1.0, max_new_tokens=chance.randint(1, 6))
            suffix = "y" * chance.randint(0, 20) if chance.random() < 0.3 else None
            streams.append(engine.submit(CompletionRequest("x = 1\n" * chance.randint(1, 30), suffix, sampling)))
            if chance.random() < 0.3:
                streams[-1].cancel()
            if len(streams) == 16:
                for stream in streams:
                    collect(stream)
                streams.clear()
        for stream in streams:
            collect(stream)

    serve(1000)
    memory, threads = resident_bytes(), threading.active_count()
    serve(10_000)
    wait_for_free_slots(engine)
    assert threading.active_count() == threads
    assert abs(resident_bytes() / memory - 1) < 0.02


def resident_bytes() -> int:
    gc.collect()
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))


def test_a_full_waiting_line_is_said(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> None:
    engine = Engine(make_runner(n_slots=1), tokenizer, max_waiting=2)
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=60)
    with pytest.raises(EngineBusy, match="Too many requests are waiting"):
        for _ in range(50):
            engine.submit(CompletionRequest("x", None, sampling))
    engine.close()


def cut_in_steps(ids: list[int], room: int, step: int) -> list[int]:
    """The end of ``ids`` that fits in ``room`` after cutting off whole steps on the left."""
    while len(ids) > room:
        ids = ids[step:]
    return ids


def test_long_prompts_keep_the_end_of_the_prefix_and_the_start_of_the_suffix(
    engine: Engine, model: SantaCoder, tokenizer: Tokenizer
) -> None:
    prefix, suffix = "".join(f"p{i} = {i}\n" for i in range(300)), "".join(f"s{i} = {i}\n" for i in range(300))
    stream = engine.submit(CompletionRequest(prefix, None, SamplingParams(temperature=0, max_new_tokens=28)))
    kept = cut_in_steps(tokenizer.encode(prefix), 100, step=12)
    assert collect(stream)[1] == greedy(model, kept, 28, tokenizer)
    assert stream.notices == (
        f"The model reads only the last {len(kept)} of {len(tokenizer.encode(prefix)):,} tokens before the cursor.",
    )
    stream = engine.submit(CompletionRequest(prefix, suffix, SamplingParams(temperature=0, max_new_tokens=25)))
    kept_suffix, kept_prefix = tokenizer.encode(suffix)[:25], cut_in_steps(tokenizer.encode(prefix), 75, step=12)
    ids = [
        tokenizer.fim_prefix_id,
        *kept_prefix,
        tokenizer.fim_suffix_id,
        *kept_suffix,
        tokenizer.fim_middle_id,
    ]
    assert collect(stream)[1] == greedy(model, ids, 25, tokenizer)
    assert len(stream.notices) == 2


def test_more_new_tokens_than_there_is_room_for_is_a_notice(engine: Engine, tokenizer: Tokenizer) -> None:
    stream = engine.submit(CompletionRequest("x", None, SamplingParams(temperature=1.0, max_new_tokens=1000)))
    _, ids, last = collect(stream)
    assert last.reason == "stop" or len(ids) == 128 - len(tokenizer.encode("x"))
    assert stream.notices == ("The model's context of 128 tokens leaves room for 127 new ones.",)


def test_a_million_characters_are_cut_not_refused(engine: Engine) -> None:
    stream = engine.submit(CompletionRequest("x = 1\n" * 170_000, "y" * 10, SamplingParams(max_new_tokens=5)))
    assert collect(stream)[2].reason in ("length", "stop")
    assert "The model reads only the last" in stream.notices[0]


@pytest.mark.parametrize(
    "prefix,suffix,sentence",
    [
        ("", None, "There is no code to start from"),
        ("", "", "There is no code to start from"),
        ("ab\0c", None, "The prompt has a NUL character at position 3"),
        ("ab", "\0", "The suffix has a NUL character at position 1"),
        ("ab\r\n\r\n\0c", None, "The prompt has a NUL character at position 7"),
        ("ab\ud800", None, "a lone surrogate"),
        ("ab\r\n", "\r\n\r\n\ud800", "a lone surrogate .* at character 5"),
    ],
)
def test_what_cannot_be_a_prompt_is_a_sentence(prefix: str, suffix: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CompletionRequest(prefix, suffix)


def test_a_failing_runner_ends_the_streams_and_the_engine_goes_on(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer
) -> None:
    runner = make_runner(n_slots=2)
    engine = Engine(runner, tokenizer)
    working = runner.decode
    calls = iter(range(100))

    def fail_at_the_fifth(*arguments: object) -> object:
        if next(calls) == 5:
            raise RuntimeError("out of memory")
        return working(*arguments)  # type: ignore[arg-type]

    runner.decode = fail_at_the_fifth  # type: ignore[method-assign, assignment]
    not_to_end = ((tokenizer.end_of_text_id, -100.0),)
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=50, seed=1, logit_bias=not_to_end)
    last = collect(engine.submit(CompletionRequest("x", None, sampling)))[2]
    assert (last.reason, last.message) == ("error", "The model could not be run: out of memory.")
    assert engine.n_free_slots == 2
    assert collect(engine.submit(CompletionRequest("x", None, sampling)))[2].reason in ("length", "stop")
    engine.close()


class Broken(Sampler):
    """A runner that fails at its third token."""

    def choose(self, logits: np.ndarray, context: Sequence[int], *_: object) -> Choice:
        if len(context) > 3:
            raise IndexError("no such token")
        return super().choose(logits, context, *_)


def test_what_fails_for_one_request_ends_no_other(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[object] = []

    def on_end(sequence: EngineSequence) -> None:
        ended.append(sequence.reason)
        raise OSError("no space left")

    def deaf(event: object) -> None:
        raise RuntimeError("nobody listens")

    sampling = SamplingParams(
        temperature=1.0, seed=1, max_new_tokens=30, logit_bias=((tokenizer.end_of_text_id, -100.0),)
    )
    request = CompletionRequest("x", None, sampling)
    runner = make_runner(n_slots=N_SLOTS)
    engine = Engine(runner, tokenizer, drafts=False)
    alone = collect(engine.submit(request))
    engine.close()
    engine = Engine(runner, tokenizer, on_end=on_end, drafts=False)
    others = [engine.submit(request) for _ in range(2)]
    engine.submit(request, deaf)
    with monkeypatch.context() as patched:
        patched.setattr(sequence_module, "Sampler", Broken)
        broken = engine.submit(request)
    last = collect(broken)[2]
    assert (last.reason, last.message) == ("error", "The text could not be continued: no such token.")
    assert [collect(stream) for stream in others] == [alone] * 2
    wait_for_free_slots(engine)
    assert sorted(ended) == ["cancelled", "error", "length", "length"] and engine.problem is None
    engine.close()


def test_numbers_that_are_not_finite_end_their_text_alone(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer
) -> None:
    runner = make_runner(n_slots=N_SLOTS)
    working = runner.decode

    def overflow(steps: Sequence[Step]) -> object:
        logits = np.array(working(steps))
        logits[[step.token_id == 0 for step in steps]] = np.nan
        return logits

    runner.decode = overflow  # type: ignore[method-assign, assignment]
    engine = Engine(runner, tokenizer, drafts=False)
    for top_logprobs in (0, 3):
        spoilt = SamplingParams(temperature=0, logit_bias=((0, 100.0),), top_logprobs=top_logprobs)
        streams = [
            engine.submit(CompletionRequest("x", None, SamplingParams(30, logit_bias=((0, -100.0),)))),
            engine.submit(CompletionRequest("y", None, spoilt)),
        ]
        assert collect(streams[0])[2].reason in ("length", "stop")
        last = collect(streams[1])[2]
        assert last.reason == "error" and "not finite" in last.message
    engine.close()


def test_closing_ends_what_runs(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> None:
    engine = Engine(make_runner(), tokenizer)
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=120)
    streams = [engine.submit(CompletionRequest("x", None, sampling)) for _ in range(3)]
    engine.close()
    assert {collect(stream)[2].reason for stream in streams} <= {"cancelled", "stop", "length"}
    with pytest.raises(EngineBusy, match="being unloaded"):
        engine.submit(CompletionRequest("x"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_thread_dies_nobody_waits_for_it(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> None:
    runner = make_runner(n_slots=1)
    all_submitted = threading.Event()

    def die(*arguments: object) -> object:
        all_submitted.wait()
        raise SystemExit("killed")

    runner.decode = die  # type: ignore[method-assign, assignment]
    engine = Engine(runner, tokenizer)
    sampling = SamplingParams(temperature=1.0, max_new_tokens=50, logit_bias=((tokenizer.end_of_text_id, -100.0),))
    streams = [engine.submit(CompletionRequest("x", None, sampling)) for _ in range(3)]
    all_submitted.set()
    for stream in streams:
        last = collect(stream)[2]
        assert (last.reason, last.message) == ("error", "The engine has ended: killed.")
    engine.close()
    assert not engine.alive and engine.problem == "The engine has ended: killed."
    with pytest.raises(EngineBusy):
        engine.submit(CompletionRequest("x"))


def test_draining_lets_finish_and_takes_no_more(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> None:
    ended = []
    engine = Engine(make_runner(n_slots=2), tokenizer, on_end=ended.append)
    sampling = SamplingParams(temperature=1.0, max_new_tokens=60, logit_bias=((tokenizer.end_of_text_id, -100.0),))
    streams = [engine.submit(CompletionRequest("x", None, sampling)) for _ in range(5)]
    engine.drain(60)
    assert [collect(stream)[2].reason for stream in streams] == ["length"] * 5
    assert [(sequence.reason, sequence.n_written) for sequence in ended] == [("length", 60)] * 5
    with pytest.raises(EngineBusy, match="being stopped"):
        engine.submit(CompletionRequest("x"))
    engine.close()
