"""Events reach the event loop in bunches, none of them late for good."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable

import pytest

from app.api.mailbox import Mailbox
from tests.app.api.conftest import run_apart


class Receiver:
    """What a run is to its mailbox."""

    def __init__(self) -> None:
        self.sent: deque[int] = deque()
        self.received: list[int] = []
        self.n_wakes = 0

    def receive(self) -> None:
        self.n_wakes += 1
        self.received += [self.sent.popleft() for _ in range(len(self.sent))]


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("seed", range(4))
def test_everything_arrives_in_order_whoever_sends_it(seed: int) -> None:
    """Two engines' threads, with pauses shorter and longer than the loop waits."""

    async def main() -> None:
        mailbox = Mailbox(asyncio.get_running_loop())
        receivers = [Receiver() for _ in range(6)]

        def send(some: list[Receiver], chance: random.Random) -> None:
            for number in range(600):
                for receiver in some:
                    receiver.sent.append(number)
                    wake = mailbox.wake if chance.random() < 0.05 else mailbox.wake_soon
                    wake(receiver)  # type: ignore[arg-type]
                if chance.random() < 0.05:
                    time.sleep(chance.choice([0.0005, 0.02]))

        threads = [
            threading.Thread(target=send, args=(receivers[number::2], random.Random(seed + number)))
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        await until(lambda: all(len(receiver.received) == 600 for receiver in receivers))
        for thread in threads:
            thread.join()
        assert all(receiver.received == list(range(600)) for receiver in receivers)
        assert all(receiver.n_wakes < 300 for receiver in receivers)

    run_apart(main())


def test_what_is_urgent_wakes_its_own_run_alone() -> None:
    async def main() -> None:
        mailbox = Mailbox(asyncio.get_running_loop())
        urgent, other = Receiver(), Receiver()
        mailbox.wake_soon(other)  # type: ignore[arg-type]
        await until(lambda: other.n_wakes)
        other.sent.append(1)
        mailbox.wake_soon(other)  # type: ignore[arg-type]
        urgent.sent.append(2)
        mailbox.wake(urgent)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert urgent.received == [2] and other.received == []
        await until(lambda: other.received == [1])

    run_apart(main())
