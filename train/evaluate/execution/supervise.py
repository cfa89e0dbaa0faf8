"""Supervision of a process and its children, until they end or reach a limit of time, memory or output."""

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

from train.evaluate.execution.memory_group import MemoryGroup

_TICK = 0.02  # seconds between memory checks; a memory bomb allocates about 50 MB in that time
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Limits:
    """Limits on a program and the processes it starts, together; sizes in bytes.

    ``seconds`` is wall-clock time. ``disk`` is the size of the scratch folder and of each file in it, ``address_space``
    the kernel's limit for each process (0: none; for runtimes that reserve more than they use), ``files`` the number of
    open files.
    """

    seconds: float
    memory: int = 1 << 30
    output: int = 1 << 20
    disk: int = 64 << 20
    processes: int = 64
    files: int = 256
    address_space: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a program ended: on its own (``exited``), or by reaching a limit. Negative exit codes are signals."""

    end: Literal["exited", "time", "memory", "output"]
    exit_code: int
    stdout: str
    stderr: str


def supervise(process: subprocess.Popen[bytes], limits: Limits, group: MemoryGroup | None = None) -> Outcome:
    """Read the output of ``process`` until it ends or reaches a limit; then kill all processes it started.

    With a ``group``, the kernel limits memory; otherwise the resident memory is summed here.
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
                if process.poll() is not None:  # a child that is still running may keep the pipes open
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
    """Kill ``process`` and its descendants, wait for it, and close its pipes. A process that has ended is accepted."""
    if process.poll() is None:
        # the sandbox's first process is among them; when it dies, the kernel kills its process namespace
        for pid in list(_descendants(process.pid)):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)  # processes left in its session
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _read(selector: selectors.BaseSelector, written: dict[int, bytearray], timeout: float) -> None:
    """Read what is available; a pipe whose other end is closed is unregistered."""
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
    """Resident bytes of ``pid`` and its descendants; shared pages count for each process."""
    total = 0
    for one in [pid, *_descendants(pid)]:
        with suppress(OSError, IndexError, ValueError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * _PAGE
    return total


def _descendants(pid: int) -> Iterator[int]:
    """The descendants of a process; an orphan in a process namespace is a child of its first process."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are enough
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))
