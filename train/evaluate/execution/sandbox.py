"""A sandbox for untrusted programs: no network, no files except a scratch folder, and limits on every resource.

`bubblewrap <https://github.com/containers/bubblewrap>`_ creates namespaces for each program: its own processes, its own
(empty) network, and a file system with the language's runtime, read-only, and a scratch folder in memory. The program
runs as nobody, cannot gain privileges and cannot create namespaces. If possible, a control group limits its memory; a
filter limits its system calls (``seccomp.py``), and its session keyring is empty. When it ends or is killed, the kernel
kills all processes in its namespace and the scratch folder disappears.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from train.evaluate.execution import seccomp
from train.evaluate.execution.memory_group import MemoryGroup, find_parent
from train.evaluate.execution.supervise import Limits, Outcome, kill_tree, supervise

SCRATCH = Path("/tmp")
_NOBODY = 65534
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(SCRATCH), "TMPDIR": str(SCRATCH), "LANG": "C.UTF-8"}
_DEVICES = ("null", "zero", "random", "urandom")
_INSTALL = "install it (Debian, Ubuntu: apt install bubblewrap)"
_UNSAFE = "or use --unsafe to run the programs without protection, on a machine that you can throw away"


class SandboxUnavailable(Exception):
    """Programs cannot be isolated on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class Command:
    """A program to run. ``arguments`` may contain ``{scratch}`` for its folder, ``files`` are written to that folder,
    and ``runtime`` lists the readable folders and files outside ``/usr``.
    """

    arguments: Sequence[str]
    files: Mapping[str, bytes]
    runtime: Sequence[Path] = ()


class Sandbox:
    """Runs each program in a sandbox of its own; thread-safe.

    Raises:
        SandboxUnavailable: bubblewrap is missing, or the kernel forbids what it needs.
    """

    def __init__(self) -> None:
        if not seccomp.is_known_here():
            raise SandboxUnavailable(
                f"Programs can only be isolated on x86-64 and 64-bit Arm processors: use one, {_UNSAFE}."
            )
        self._groups = find_parent()
        self._filter = seccomp.filter_program(memory_is_counted=self._groups is not None)
        # a program inherits the keyring of the thread that starts it, and is killed when that thread ends
        self._starter = ThreadPoolExecutor(1, "sandbox", initializer=seccomp.join_new_session_keyring)
        self._prefix = _as_nobody()
        self._bubblewrap = _find("bwrap", f"Programs are isolated with bubblewrap, which is not installed: {_INSTALL}")
        probe = self.run(Command(["/usr/bin/env", "true"], {}), Limits(seconds=10))
        if probe.exit_code != 0:
            raise SandboxUnavailable(
                f"This system does not let bubblewrap isolate programs ({_last_line(probe.stderr)}). Allow "
                f"unprivileged user namespaces (in a container: run it with --privileged), {_UNSAFE}."
            )

    def run(self, command: Command, limits: Limits) -> Outcome:
        """Run ``command`` until it ends or reaches a limit of time, memory or output."""
        with self._start(command, limits, stdin=subprocess.DEVNULL) as (process, group):
            return supervise(process, limits, group)

    @contextmanager
    def serve(self, command: Command, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
        """Run a server process for the duration of the block; its standard input and output are pipes.

        Only limits of the kernel apply (processes, file sizes, memory in a control group); the caller limits time.
        """
        with self._start(command, limits, stdin=subprocess.PIPE) as (process, _):
            yield process

    @contextmanager
    def _start(
        self, command: Command, limits: Limits, *, stdin: int
    ) -> Iterator[tuple[subprocess.Popen[bytes], MemoryGroup | None]]:
        with ExitStack() as stack:
            group = MemoryGroup(self._groups, limits.memory) if self._groups else None
            if group:
                stack.callback(group.close)
            descriptors = {name: _in_memory(stack, content) for name, content in command.files.items()}
            system_calls = _in_memory(stack, self._filter)
            isolation = self._isolation(command, descriptors, system_calls, limits)
            arguments = [*self._prefix, *isolation, *_with_limits(command, limits, SCRATCH)]
            process = self._starter.submit(
                subprocess.Popen,
                group.enter(arguments) if group else arguments,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[*descriptors.values(), system_calls],
                env={},  # a process can read the environment that its namespace was started with
                cwd="/",
                start_new_session=True,
            ).result()
            stack.callback(kill_tree, process)
            yield process, group

    def _isolation(self, command: Command, files: Mapping[str, int], system_calls: int, limits: Limits) -> list[str]:
        """The bubblewrap command line; see bwrap(1). Order matters: later mounts cover earlier ones.

        ``files`` and ``system_calls`` are descriptors of the program's files and of the filter.
        """
        arguments = [self._bubblewrap, "--unshare-all", "--disable-userns", "--unshare-user", "--die-with-parent"]
        arguments += ["--new-session", "--uid", str(_NOBODY), "--gid", str(_NOBODY), "--clearenv"]
        arguments += ["--seccomp", str(system_calls)]
        for name, value in _ENVIRONMENT.items():
            arguments += ["--setenv", name, value]
        arguments += ["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
        arguments += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]
        for folder in (Path("/bin"), Path("/sbin"), Path("/lib"), Path("/lib64")):
            if folder.is_symlink():
                arguments += ["--symlink", str(folder.readlink()), str(folder)]
            else:
                arguments += ["--ro-bind-try", str(folder), str(folder)]
        arguments += ["--proc", "/proc", "--perms", "0755", "--dir", "/dev"]
        for device in _DEVICES:
            arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        arguments += ["--perms", "1777", "--size", str(limits.disk), "--tmpfs", str(SCRATCH)]
        for path in command.runtime:
            for parent in reversed(path.parents[:-1]):
                arguments += ["--perms", "0755", "--dir", str(parent)]
            arguments += ["--ro-bind", str(path), str(path)]
        for name, descriptor in files.items():
            arguments += ["--file", str(descriptor), str(SCRATCH / name)]
        return [*arguments, "--remount-ro", "/", "--chdir", str(SCRATCH), "--"]


class NoSandbox:
    """Runs programs as the current user, with limits but without isolation: only for disposable machines."""

    def run(self, command: Command, limits: Limits) -> Outcome:
        """Run ``command`` until it ends or reaches a limit of time, memory or output."""
        with self._start(command, limits, stdin=subprocess.DEVNULL) as process:
            return supervise(process, limits)

    @contextmanager
    def serve(self, command: Command, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
        """Run a server process for the duration of the block; its standard input and output are pipes."""
        with self._start(command, limits, stdin=subprocess.PIPE) as process:
            yield process

    @contextmanager
    def _start(self, command: Command, limits: Limits, *, stdin: int) -> Iterator[subprocess.Popen[bytes]]:
        with TemporaryDirectory(prefix="evaluate-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
            for name, content in command.files.items():
                (Path(folder) / name).write_bytes(content)
            process = subprocess.Popen(
                _with_limits(command, limits, Path(folder)),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**_ENVIRONMENT, "HOME": folder, "TMPDIR": folder},
                cwd=folder,
                start_new_session=True,
            )
            stack.callback(kill_tree, process)
            yield process


def _with_limits(command: Command, limits: Limits, scratch: Path) -> list[str]:
    """The program under prlimit(1), which sets the kernel's limits. It must run inside the user namespace."""
    arguments = [argument.replace("{scratch}", str(scratch)) for argument in command.arguments]
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        return arguments  # without util-linux there is no sandbox either
    flags = [f"--fsize={limits.disk}", f"--nofile={limits.files}", "--core=0"]
    # outside the sandbox it would count all processes of the user
    flags += [f"--nproc={limits.processes}"] if scratch == SCRATCH else []
    flags += [f"--as={limits.address_space}"] if limits.address_space else []
    return [prlimit, *flags, "--", *arguments]


def _as_nobody() -> list[str]:
    """Switch from root to nobody first: the kernel does not limit the number of processes of root."""
    if os.getuid() != 0:
        return []
    setpriv = _find(
        "setpriv", "As root, programs are run as nobody with setpriv, which is not installed: install util-linux"
    )
    return [setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def _find(name: str, absence: str) -> str:
    """The path of a program.

    Raises:
        SandboxUnavailable: it is not installed.
    """
    if path := shutil.which(name):
        return path
    raise SandboxUnavailable(f"{absence}, {_UNSAFE}.")


def _in_memory(stack: ExitStack, content: bytes) -> int:
    """A descriptor of an anonymous in-memory file with ``content``."""
    descriptor = os.memfd_create("program")
    stack.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "no reason given"
