"""A function in a separate process with limits on time and memory, for work that cannot be interrupted.

A parser written in C may take hours and all memory for a short text, and it does not release the interpreter lock.
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
    """Calls ``function`` in a child process, with ``seconds`` of processor time per call.

    The process starts with the first call and ends with its parent. On Linux, its memory may grow by ``room`` bytes.
    """

    def __init__(self, function: Callable[..., Result], *, seconds: float, room: int) -> None:
        self._arguments = (function, seconds, room)
        self._process: BaseProcess | None = None
        self._connection: Connection

    def __call__(self, *arguments: Any) -> Result | None:
        """Return the result of ``function``, or None if a limit was reached.

        Raises:
            RuntimeError: the function failed; its traceback has been printed.
        """
        if self._process is None:
            # spawn, not fork: this process may have threads, and a fork would copy their locks in any state
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
                raise RuntimeError("the process for parsing a file has failed") from None
            return None  # killed by a signal


def _serve(connection: Connection, function: Callable[..., Any], seconds: float, room: int) -> None:
    _limit_memory(room)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core dump when the process is killed
    while True:
        try:
            arguments = connection.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF ends the process
        try:
            result = function(*arguments)
        except MemoryError:
            signal.raise_signal(signal.SIGKILL)
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send(result)


def _limit_memory(room: int) -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # not Linux: address space cannot be limited in this way
        return
    wanted = pages * resource.getpagesize() + room
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
