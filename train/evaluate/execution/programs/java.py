"""Java programs: a persistent process compiles them, and each runs in its own virtual machine.

The compiler runs in a sandbox too. It does not execute the code that it compiles, so one process serves many programs;
each compiled program runs in a fresh sandbox.
"""

from __future__ import annotations

import io
import os
import queue
import selectors
import struct
import subprocess
import zipfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from train.evaluate.execution.programs.missing import find
from train.evaluate.execution.sandbox import Command, NoSandbox, Sandbox
from train.evaluate.execution.supervise import Limits

COMPILE_SECONDS = 30
_SERVER = Path(__file__).with_name("CompileServer.java")
_COMPILER_LIMITS = Limits(seconds=0, processes=256, files=1024)
# optimise for start-up time: most programs run for a few milliseconds
_FAST_START = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]


class CompileError(Exception):
    """The program is not valid Java; the message is the compiler's first error."""


class Compilers:
    """A pool of persistent compilers, one for each concurrent compilation; thread-safe.

    Raises:
        MissingProgram: the JDK or javatuples is missing.
    """

    def __init__(self, sandbox: Sandbox | NoSandbox, count: int) -> None:
        self._sandbox = sandbox
        self._command = _server_command()
        self._idle: queue.SimpleQueue[_Compiler | None] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(None)

    def compile(self, source: str) -> bytes:
        """Compile ``source`` and return its classes as a jar.

        Raises:
            CompileError: it does not compile, or not in time.
            RuntimeError: this machine cannot start a compiler.
        """
        compiler = self._idle.get()
        try:
            if compiler is not None:
                try:
                    return _jar(compiler.compile(source))
                except (EOFError, OSError):  # an earlier program may have caused this
                    compiler.close()
                    compiler = None
            compiler = self._started()
            return _jar(compiler.compile(source))
        except (EOFError, OSError) as error:
            assert compiler is not None  # starting one raises neither
            compiler.close()
            compiler = None
            raise CompileError("the compiler crashed or took too long") from error
        finally:
            self._idle.put(compiler)

    def close(self) -> None:
        """Stop the compilers; none may be in use."""
        while not self._idle.empty():
            if compiler := self._idle.get():
                compiler.close()

    def _started(self) -> _Compiler:
        try:
            return _Compiler(self._sandbox, self._command)
        except OSError as error:
            raise RuntimeError(
                f"A Java compiler could not be started ({error}). Free some memory or choose fewer --workers, and run "
                "the same command again: finished work is kept."
            ) from error


class _Compiler:
    """A compiler process; CompileServer.java documents the protocol on its pipes."""

    def __init__(self, sandbox: Sandbox | NoSandbox, command: Command) -> None:
        self._stack = ExitStack()
        process = self._stack.enter_context(sandbox.serve(command, _COMPILER_LIMITS))
        assert process.stdin and process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout

    def compile(self, source: str) -> dict[str, bytes]:
        """Compile ``source`` and return the classes by name.

        Raises:
            CompileError: the program is not valid.
            EOFError: the compiler ended, or did not answer in time.
        """
        text = source.encode("utf-8", "replace")
        self._stdin.write(struct.pack(">i", len(text)) + text)
        self._stdin.flush()
        count = self._read_int()
        if count < 0:
            raise CompileError(self._read_bytes().decode("utf-8", "replace").strip())
        return {self._read_bytes().decode(): self._read_bytes() for _ in range(count)}

    def close(self) -> None:
        self._stack.close()

    def _read_int(self) -> int:
        return struct.unpack(">i", self._read(4))[0]

    def _read_bytes(self) -> bytes:
        return self._read(self._read_int())

    def _read(self, length: int) -> bytes:
        content = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while len(content) < length:
                if not selector.select(COMPILE_SECONDS):
                    raise EOFError
                block = os.read(self._stdout.fileno(), length - len(content))
                if not block:
                    raise EOFError
                content += block
        return content


def command(jar: bytes) -> Command:
    """The command that runs the class ``Problem`` of a compiled program, with assertions enabled."""
    java, runtime = _runtime()
    classes = f"{{scratch}}/program.jar:{_javatuples()}"
    arguments = [str(java), "-ea", "-Xmx512m", *_FAST_START, "-cp", classes, "Problem"]
    return Command(arguments, {"program.jar": jar}, runtime)


@cache
def version() -> str:
    """The version of the Java that compiles and runs the programs."""
    java, _ = _runtime()
    return subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr.split("\n")[0]


def _server_command() -> Command:
    java, runtime = _runtime()
    arguments = [str(java), "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData"]
    arguments += ["{scratch}/CompileServer.java", str(_javatuples())]
    return Command(arguments, {"CompileServer.java": _SERVER.read_bytes()}, runtime)


def _jar(classes: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, code in classes.items():
            archive.writestr(f"{name.replace('.', '/')}.class", code)
    return content.getvalue()


@cache
def _runtime() -> tuple[Path, tuple[Path, ...]]:
    """The virtual machine and its files outside ``/usr``; Debian keeps its settings in ``/etc``."""
    compiler = find("javac", "a JDK (Debian, Ubuntu: apt install default-jdk-headless)")
    java = compiler.with_name("java")
    home = java.parent.parent
    settings = {path.resolve() for path in (home / "conf").rglob("*") if path.is_symlink()} | {(home / "lib").resolve()}
    outside = {path if path.is_dir() else path.parent for path in settings if not path.is_relative_to(home)}
    return java, (*sorted(outside), *(() if home.is_relative_to("/usr") else (home,)))


@cache
def _javatuples() -> Path:
    """The library that represents Python's tuples in the Java tasks."""
    wanted = os.environ.get("SANTACODER_JAVATUPLES", "/usr/share/java/javatuples.jar")
    return find(wanted, "javatuples (Debian, Ubuntu: apt install libjavatuples-java), or set SANTACODER_JAVATUPLES")
