"""Graphs of Hub models that are being written, one after the other, each in a process of its own."""

from __future__ import annotations

import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from app.training_request import CODE_FOLDER
from santacoder.checkpoint_files import shown
from santacoder.errors import CheckpointError, as_sentence

_SECONDS_BETWEEN_REPORTS = 0.1

log = logging.getLogger(__name__)


@dataclass
class _Writing:
    """A graph in progress: ``share`` is the fraction that is written."""

    done: Future[None] = field(default_factory=Future)
    share: float = 0.0


class GraphWriting:
    """Writes graphs of one ``precision`` to ``folder``, which holds at most ``most_bytes`` of graphs."""

    def __init__(self, folder: Path, precision: str, most_bytes: int) -> None:
        self.folder = folder
        self.precision = precision
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._writings: dict[Path, _Writing] = {}
        self._queue: queue.SimpleQueue[tuple[Path, _Writing, Callable[[], None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._is_closed = False

    def begin(self, snapshot: Path, then: Callable[[], None]) -> None:
        """Write the graph of ``snapshot``, unless that has begun or failed before; ``then`` is called, on the thread
        that writes graphs, when it is there.
        """
        with self._lock:
            if snapshot in self._writings or self._is_closed:
                return
            writing = self._writings[snapshot] = _Writing()
            self._queue.put((snapshot, writing, then))
            if self._thread is None:  # a daemon: a server that stops while it starts does not wait for a graph
                self._thread = threading.Thread(target=self._work, name="graphs", daemon=True)
                self._thread.start()

    def share(self, snapshot: Path) -> float | None:
        """The fraction of a graph that has been written; None if it is not being written."""
        writing = self._writings.get(snapshot)
        return None if writing is None or writing.done.done() else writing.share

    def is_under_way(self, snapshot: Path) -> bool:
        """Whether a graph is being written, or has been and is about to be served."""
        return snapshot in self._writings and self.problem(snapshot) is None

    def problem(self, snapshot: Path) -> str | None:
        """Why a graph could not be written, or None."""
        writing = self._writings.get(snapshot)
        if writing is None or not writing.done.done() or (error := writing.done.exception()) is None:
            return None
        return str(error)

    def wait(self, snapshot: Path, report: Callable[[float], None]) -> None:
        """Wait for a graph that is being written.

        Raises:
            CheckpointError: it could not be written.
        """
        writing = self._writings.get(snapshot)
        if writing is None:  # it has just been written
            return
        while wait([writing.done], _SECONDS_BETWEEN_REPORTS).not_done:
            report(writing.share)
        writing.done.result()

    def close(self) -> None:
        """Write no more graphs, and end the process that writes one."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
        self._queue.put(None)

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            self._write(*task)

    def _write(self, snapshot: Path, writing: _Writing, then: Callable[[], None]) -> None:
        try:
            self._run(snapshot, writing)
        except Exception as error:  # whoever waits must learn about it
            log.warning("%s: the graph could not be written: %s", shown(snapshot), error)
            writing.done.set_exception(
                error if isinstance(error, CheckpointError) else CheckpointError(as_sentence(error))
            )
            return
        writing.done.set_result(None)
        try:
            then()
        except Exception:  # PyTorch goes on serving
            log.exception("the graph of %s is not served", shown(snapshot))
        with self._lock:
            del self._writings[snapshot]  # dropped from the cache, it can be written again

    def _run(self, snapshot: Path, writing: _Writing) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "export.cached", str(snapshot), str(self.folder), self.precision]
        with self._lock:
            if self._is_closed:
                raise CheckpointError("The server is being stopped.")
            self._process = subprocess.Popen(
                [*command, str(self._most_bytes)],
                cwd=CODE_FOLDER,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        with self._process as process:
            assert process.stdout is not None and process.stderr is not None
            for line in process.stdout:
                writing.share = float(line)
            said = process.stderr.read().strip()
        if process.returncode:
            raise CheckpointError(said.splitlines()[-1] if said else "The process that writes the graph has ended.")
