"""Watching a process and all it starts, up to the end of its time, memory or output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.evaluate.memory_group import MemoryGroup

_TICK = 0.02  # seconds between two looks at the memory; a bomb gets some 50 MB further in that time
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Limits:
    """Of everything a program and the processes it starts may use together; sizes in bytes.

    ``seconds`` is time on the clock, ``cpu_seconds`` that of each process (0: no limit). ``disk`` is the size of the
    scratch folder and of any file in it, ``address_space`` the kernel's limit for each process (0: none; for runtimes
    that reserve more than they use), ``files`` the number of those open.
    """

    seconds: float
    memory: int = 1 << 30
    output: int = 1 << 20
    disk: int = 64 << 20
    processes: int = 64
    files: int = 256
    cpu_seconds: int = 0
    address_space: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a program ended: by itself (``exited``), or by reaching a limit. Negative exit codes are signals."""

    end: Literal["exited", "time", "memory", "output"]
    exit_code: int
    stdout: str
    stderr: str


def supervise(process: subprocess.Popen[bytes], limits: Limits, group: MemoryGroup | None = None) -> Outcome:
    """Read what ``process`` writes until it ends, or end it where it reaches a limit; nothing it started is left.

    The kernel limits the memory of a ``group``; without one, what is resident is added up here.
    """
    deadline = time.monotonic() + limits.seconds
    assert process.stdout and process.stderr
    written = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    end: Literal["exited", "time", "memory", "output"] = "exited"
    next_look = time.monotonic() + _TICK
    with selectors.DefaultSelector() as selector:
        for descriptor in written:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() or process.poll() is None:
            _read(selector, written, _TICK)
            now = time.monotonic()
            if sum(map(len, written.values())) > limits.output:
                end = "output"
            elif now > deadline:
                end = "time"
            elif now > next_look:
                end = "memory" if _is_over(process, limits, group) else end
                next_look = now + _TICK
                if process.poll() is not None:  # a child it left may hold the pipes open
                    _read(selector, written, 0)
                    break
            if end != "exited":
                break
    if end == "exited" and group and group.is_over():
        end = "memory"
    kill_tree(process)
    stdout, stderr = (bytes(text[: limits.output]).decode("utf-8", "replace") for text in written.values())
    return Outcome(end, process.returncode, stdout, stderr)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and all it started, and wait for it; closes its pipes. Does no harm to one that has ended."""
    if process.poll() is None:
        # the sandbox's own first process is among them, and the kernel ends a process namespace with its first
        for pid in list(_descendants(process.pid)):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever stayed in its session
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _read(selector: selectors.BaseSelector, written: dict[int, bytearray], timeout: float) -> None:
    """Take what can be read now; a pipe whose other end is closed leaves the selector."""
    if not selector.get_map():
        time.sleep(timeout)
    for key, _ in selector.select(timeout):
        block = os.read(key.fd, 1 << 16)
        written[key.fd] += block
        if not block:
            selector.unregister(key.fd)


def _is_over(process: subprocess.Popen[bytes], limits: Limits, group: MemoryGroup | None) -> bool:
    return group.is_over() if group else _memory(process.pid) > limits.memory


def _memory(pid: int) -> int:
    """Bytes resident in ``pid`` and its descendants; pages they share count once for each."""
    total = 0
    for one in [pid, *_descendants(pid)]:
        with suppress(OSError, IndexError, ValueError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * _PAGE
    return total


def _descendants(pid: int) -> Iterator[int]:
    """Processes started by ``pid`` and by those; an orphan in a process namespace belongs to its first process."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are enough
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))
