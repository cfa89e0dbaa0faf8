"""``python app.py`` in a separate process without its import time: a process that has the imports forks each server."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).parents[1]

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(["app.server", "tests.server_process"])


class ServerProcess:
    """A server with ``options`` on its command line, and ``environment`` in addition to this process's environment.

    It has the parts of the interface of ``subprocess.Popen`` that the tests need. If ``quiet``, its output can be read
    from ``stdout`` and ``stderr``; otherwise it goes to this process's output.
    """

    def __init__(self, *options: str, environment: dict[str, str] | None = None, quiet: bool = False) -> None:
        self.args = options
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        out = err = None
        if quiet:
            self.stdout, out = _pipe()
            self.stderr, err = _pipe()
        self._process = _FORKSERVER.Process(
            target=_serve, args=(options, {**os.environ, **(environment or {})}, out, err)
        )
        self._process.start()
        for end in filter(None, (out, err)):
            end.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of both outputs, once the server has ended."""
        with ThreadPoolExecutor() as pool:
            out, err = pool.map(lambda output: output.read() if output else "", (self.stdout, self.stderr))
        self.wait(timeout)
        return out, err


def _pipe() -> tuple[IO[str], Connection]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    return os.fdopen(os.dup(reader.fileno()), encoding="utf-8"), writer


def _serve(
    options: tuple[str, ...], environment: dict[str, str], out: Connection | None, err: Connection | None
) -> None:
    for number, end in ((1, out), (2, err)):
        if end is not None:
            os.dup2(end.fileno(), number)
            end.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    sys.argv = ["app.py", *options]
    runpy.run_path("app.py", run_name="__main__")
