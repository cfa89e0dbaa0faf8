"""Fair scheduling between clients: no client waits for all of another client's requests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from santacoder.engine.engine import Engine
from santacoder.engine.events import Event, Finished, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner
from santacoder.engine.scheduler import Scheduler
from santacoder.engine.sequence import Sequence
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

N_SLOTS = 3


def sequence(client: str, tokenizer: Tokenizer) -> Sequence:
    return Sequence(CompletionRequest("x = 1"), tokenizer, 128, lambda event: None, client=client)


@settings(max_examples=30)
@given(steps=st.lists(st.sampled_from(["arrive A", "arrive B", "arrive C", "arrive D", "end", "cancel"]), max_size=60))
def test_clients_share_the_slots(tokenizer: Tokenizer, steps: list[str]) -> None:
    scheduler = Scheduler(N_SLOTS, max_waiting=1000)
    arrived: list[Sequence] = []
    for step in steps:
        if step.startswith("arrive"):
            arrived.append(sequence(step[-1], tokenizer))
            assert scheduler.add(arrived[-1])
        elif step == "cancel" and arrived:
            arrived[len(arrived) // 2].cancelled.set()
        elif step == "end" and scheduler.running:
            scheduler.running[0].finish("stop")
            scheduler.release(scheduler.running[0])
        take_turn(scheduler)
        waiting = [each for each in scheduler.everyone() if each.slot is None]
        n_running = Counter(each.client for each in scheduler.running)
        slots = [each.slot for each in scheduler.running]
        assert len(set(slots)) == len(slots) and scheduler.n_free_slots == N_SLOTS - len(slots)
        assert not waiting or len(slots) == N_SLOTS
        for client in {each.client for each in waiting}:
            assert n_running[client] or max(n_running.values()) == 1, "another one has several slots"
            begun = [each.submitted_at for each in arrived if each.client == client and each.slot is not None]
            unbegun = [each.submitted_at for each in waiting if each.client == client]
            assert max(begun, default=0) < min(unbegun), "a client's own are not served in their order"
        assert sum(each.is_paused for each in waiting) <= N_SLOTS
    while scheduler.running:
        scheduler.running[0].finish("stop")
        scheduler.release(scheduler.running[0])
        take_turn(scheduler)
    assert scheduler.idle and all(each.finished for each in arrived)


def take_turn(scheduler: Scheduler) -> None:
    """Like the engine, but without computation."""
    turn = scheduler.turn()
    assert not {id(each) for each in turn.paused} & {id(each) for each, _ in turn.admitted}
    for each, _ in turn.admitted:
        each.is_paused = False
        each.n_computed = each.n_prompt


def test_whom_to_pause_is_found_once_for_each_newcomer(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    find, found = Scheduler._to_pause, []

    def counted(scheduler: Scheduler, settled: list[Sequence]) -> Sequence | None:
        found.append(find(scheduler, settled))
        return found[-1]

    monkeypatch.setattr(Scheduler, "_to_pause", counted)
    scheduler = Scheduler(N_SLOTS, max_waiting=100)
    for client in "A" * 6 + "BC":
        scheduler.add(sequence(client, tokenizer))
        take_turn(scheduler)
    assert Counter(each.client for each in scheduler.running) == Counter("ABC")
    assert len(found) == 2 and None not in found
    take_turn(scheduler)
    assert len(found) == 2


def test_the_more_sequences_decode_the_more_prompts_are_prefilled_in_a_turn(tokenizer: Tokenizer) -> None:
    scheduler = Scheduler(64, max_waiting=100)
    for _ in range(16):
        scheduler.add(sequence("A", tokenizer))
        take_turn(scheduler)
    assert len(scheduler.turn().decoding) == 16
    prompts = [np.arange(100 * number, 100 * number + 101) for number in range(8)]
    for prompt in prompts:
        newcomer = sequence("B", tokenizer)
        newcomer.ids, newcomer.prompt, newcomer.n_prompt = prompt.tolist(), prompt.astype(np.int32), len(prompt)
        scheduler.add(newcomer)
    chosen = [len(scheduler.turn().prefilling) for _ in range(2)]
    assert chosen == [3, 3], "16 sequences share the delay of 384 tokens"


def test_one_short_text_waits_for_none_of_128_long_ones(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer
) -> None:
    engine = Engine(make_runner(n_slots=N_SLOTS), tokenizer, max_waiting=128)
    order: list[str] = []
    begun, ended = threading.Event(), threading.Event()

    def deliver(client: str) -> Callable[[Event], None]:
        def note(event: Event) -> None:
            order.append(f"{client} {'end' if isinstance(event, Finished) else 'token'}")
            begun.set()
            if client == "B" and isinstance(event, Finished):
                ended.set()

        return note

    long = SamplingParams(max_new_tokens=100, ignore_eos=True)
    streams = [engine.submit(CompletionRequest("x = ", None, long), deliver("A"), client="A") for _ in range(128)]
    assert begun.wait(60)
    engine.submit(CompletionRequest("y = ", None, SamplingParams(max_new_tokens=2)), deliver("B"), client="B")
    assert ended.wait(60)
    for stream in streams:
        stream.cancel()
    engine.close()
    assert "A end" not in order[: order.index("B end")], "it waited for the end of a long text"


def test_a_paused_text_is_what_it_is_without_a_pause(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> None:
    def ids(events: list[Event]) -> list[int]:
        return [event.id for event in events if isinstance(event, TokenEvent)]

    engine = Engine(make_runner(n_slots=2), tokenizer)
    saved: list[int] = []
    save = engine.runner.save

    def noted(slot: int, length: int) -> Tensor:
        saved.append(length)
        return save(slot, length)

    engine.runner.save = noted  # type: ignore[method-assign]
    sampling = SamplingParams(temperature=0, max_new_tokens=60, ignore_eos=True)
    requests = [CompletionRequest(f"def f{number}(", None, sampling) for number in range(3)]
    alone = [ids(list(engine.submit(request))) for request in requests]
    assert not saved
    streams = [engine.submit(request, client="A") for request in requests]
    first = next(iter(streams[1]))
    others = [
        list(engine.submit(CompletionRequest("z", None, SamplingParams(max_new_tokens=2)), client=each))
        for each in "BCD"
    ]
    assert all(isinstance(events[-1], Finished) for events in others)
    together = [ids([*([first] if number == 1 else []), *stream]) for number, stream in enumerate(streams)]
    engine.close()
    assert saved and max(saved) > 0
    assert together == alone
