"""``python …`` in a separate process without its import time: one that has imported the server and torch is forked."""

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

from app.gradio_start import import_lightly

REPOSITORY = Path(__file__).parents[1]

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(
    ["tests.python_process", "app.server", "app.served_page", "torch", "pyarrow.parquet"]
)
import_lightly()  # in the process that imports the server


class PythonProcess:
    """``python`` with ``arguments``: a file, ``-m MODULE`` or ``-c CODE``, and what follows.

    ``environment`` is added to the environment of this process.

    It has the parts of the interface of ``subprocess.Popen`` that the tests need. If ``quiet``, its output can be read
    from ``stdout`` and ``stderr``; otherwise it goes to this process's output.
    """

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None, quiet: bool = False) -> None:
        self.args = arguments
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        out = err = None
        if quiet:
            self.stdout, out = _pipe()
            self.stderr, err = _pipe()
        # as a daemon, it ends with this process, also if a test fails before it has stopped it
        self._process = _FORKSERVER.Process(
            target=_run, args=(arguments, {**os.environ, **(environment or {})}, out, err), daemon=True
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


class ServerProcess(PythonProcess):
    """``python app.py`` with ``options``."""

    def __init__(self, *options: str, environment: dict[str, str] | None = None, quiet: bool = False) -> None:
        super().__init__("app.py", *options, environment=environment, quiet=quiet)


def _pipe() -> tuple[IO[str], Connection]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    return os.fdopen(os.dup(reader.fileno()), encoding="utf-8"), writer


def _run(
    arguments: tuple[str, ...], environment: dict[str, str], out: Connection | None, err: Connection | None
) -> None:
    for number, end in ((1, out), (2, err)):
        if end is not None:
            os.dup2(end.fileno(), number)
            end.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    first, *rest = arguments
    if first == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = [rest[0], *rest[1:]]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")
