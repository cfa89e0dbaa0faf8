"""Slots, compared with the expected choice and with a simulation of their contents."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.slots import WORTH_KEEPING, Slots, common_prefix

LONG = list(range(100))


def test_the_slot_that_begins_alike_is_given_out() -> None:
    slots = Slots(3)
    first = slots.take(LONG)
    assert first.n_cached == 0
    slots.hold(first.slot, LONG)
    slots.give_back(first.slot)
    slots.take([7, 7, 7])
    again = slots.take([*LONG[:50], 5, 6])
    assert again == (first.slot, 50, None)


def test_at_least_one_token_is_left_to_read() -> None:
    slots = Slots(1)
    slots.take(LONG)
    slots.hold(0, LONG)
    slots.give_back(0)
    place = slots.take(LONG)
    assert place.n_cached == len(LONG) - 1


def test_a_running_neighbour_is_copied_from() -> None:
    slots = Slots(2)
    first = slots.take(LONG)
    slots.hold(first.slot, LONG)
    place = slots.take(LONG)
    assert (place.copy_from, place.n_cached) == (first.slot, 99)


def test_a_short_likeness_does_not_cost_a_slot_its_contents() -> None:
    slots = Slots(2)
    for begin in (0, 1000):
        place = slots.take([*range(begin, begin + 50)])
        slots.hold(place.slot, [*range(begin, begin + 50)])
    slots.give_back(0)
    slots.give_back(1)
    place = slots.take([1000, 1001, 5])
    assert place.slot == 0


def test_memory_is_used_only_for_as_many_as_run_and_a_few_kept() -> None:
    slots = Slots(64)
    used = set()
    for begin in range(0, 100_000, 1000):
        places = [slots.take([*range(begin + 100 * each, begin + 100 * each + 50)]) for each in range(3)]
        used |= {place.slot for place in places}
        for place in places:
            slots.give_back(place.slot)
    assert len(used) <= 3 + 8


def test_what_failed_is_forgotten() -> None:
    slots = Slots(1)
    slots.take(LONG)
    slots.hold(0, LONG)
    slots.give_back(0)
    slots.forget(0)
    place = slots.take(LONG)
    assert place.n_cached == 0


@given(st.lists(st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.booleans()), max_size=40))
def test_what_a_place_promises_is_there(requests: list[tuple[list[int], bool]]) -> None:
    slots = Slots(3)
    memory: dict[int, list[int]] = {slot: [] for slot in range(3)}
    running: list[int] = []
    for ids, release in requests:
        assert slots.n_free == 3 - len(running)
        if slots.n_free:
            best = slots.held(ids)
            place = slots.take(ids)
            if place.copy_from is not None:
                memory[place.slot] = memory[place.copy_from][: place.n_cached]
            assert place.slot not in running and place.n_cached < len(ids)
            assert memory[place.slot][: place.n_cached] == ids[: place.n_cached]
            assert place.n_cached <= best < place.n_cached + WORTH_KEEPING
            memory[place.slot] = list(ids)
            slots.hold(place.slot, ids)
            running.append(place.slot)
        if release and running:
            slots.give_back(running.pop(0))


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix_is_the_longest(first: list[int], second: list[int]) -> None:
    length = common_prefix(np.array(first, dtype=np.int32), np.array(second, dtype=np.int32))
    assert first[:length] == second[:length]
    assert length in (len(first), len(second)) or first[length] != second[length]
