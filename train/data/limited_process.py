"""A function in a process of its own, with limits: for what cannot be stopped from within.

A parser in C may take hours and all memory for a short text, and does not let anybody else have a turn meanwhile.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class LimitedProcess(Generic[Result]):
    """Calls ``function``, one call after another, each with ``seconds`` of the processor. The process begins with the
    first call and ends with this one; on Linux, it has ``room`` bytes more than at its beginning."""

    def __init__(self, function: Callable[..., Result], *, seconds: float, room: int) -> None:
        self._arguments = (function, seconds, room)
        self._process: BaseProcess | None = None
        self._connection: Connection

    def __call__(self, *arguments: Any) -> Result | None:
        """What ``function`` returns; None where a limit was reached.

        Raises:
            RuntimeError: it failed; its trace has been printed.
        """
        if self._process is None:
            # not forked: this process may have threads, whose locks a fork would copy in whatever state they are
            context = multiprocessing.get_context("spawn")
            self._connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other, *self._arguments), daemon=True)
            self._process.start()
            other.close()
        try:
            self._connection.send(arguments)
            result: Result = self._connection.recv()
            return result
        except (EOFError, ConnectionError):
            self._process.join()
            code, self._process = self._process.exitcode, None
            if code is None or code >= 0:
                raise RuntimeError("a process that was to work on a file has failed") from None
            return None  # ended by a signal


def _serve(connection: Connection, function: Callable[..., Any], seconds: float, room: int) -> None:
    _limit_memory(room)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a process that is ended leaves nothing on the disk
    while True:
        try:
            arguments = connection.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process
        try:
            result = function(*arguments)
        except MemoryError:
            signal.raise_signal(signal.SIGKILL)
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send(result)


def _limit_memory(room: int) -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # another system, where address space cannot be limited in this way
        return
    wanted = pages * resource.getpagesize() + room
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
