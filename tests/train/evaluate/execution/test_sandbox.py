"""Hostile programs: each is stopped, does not affect the next, and leaves neither processes nor files."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from train.evaluate.execution.memory_group import find_parent
from train.evaluate.execution.programs import python
from train.evaluate.execution.sandbox import NoSandbox, Sandbox, SandboxUnavailable
from train.evaluate.execution.seccomp import _ARCHITECTURES
from train.evaluate.execution.supervise import Limits, Outcome

# time enough for a program that ends by itself or at another limit, on a busy machine too
LIMITS = Limits(seconds=60, memory=256 << 20, disk=8 << 20, output=1 << 16, processes=32)
ENDLESS = replace(LIMITS, seconds=1)
# of a test whose program would go on for ten minutes
SOON = 60
MARK = "hostile-program-mark"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    folders = (Path("/tmp"), Path.home(), Path.cwd())
    before = {path for folder in folders for path in folder.iterdir()}
    yield
    deadline = time.monotonic() + SOON
    while (left := marked_processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    new = {path.name for folder in folders for path in folder.iterdir() if path not in before}
    assert not [name for name in new if "hostile" in name or name.startswith("evaluate-")]


def marked_processes() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if MARK in path.read_text():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def run(sandbox: Sandbox, source: str, limits: Limits = LIMITS) -> Outcome:
    """Run a Python program that can be recognised among the processes of this machine."""
    command = python.command(source)
    marked = [*command.arguments, MARK]
    return sandbox.run(type(command)(marked, command.files, command.runtime), limits)


def test_a_harmless_program_runs(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "import os\nprint(os.getuid(), os.getcwd())\nopen('hostile', 'w').write('x')")
    assert (outcome.end, outcome.exit_code) == ("exited", python.RAN_TO_ITS_END)
    assert outcome.stdout == "65534 /tmp\n"


def test_several_run_at_once(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: run(sandbox, f"print({number})"), range(32)))
    assert [outcome.stdout for outcome in outcomes] == [f"{number}\n" for number in range(32)]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "import subprocess, sys\nwhile True: subprocess.Popen([sys.executable, '-c', 'while 1: pass'])",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
    ],
    ids=["fork", "spawn", "threads"],
)
def test_fork_bombs(sandbox: Sandbox, source: str) -> None:
    outcome = run(sandbox, source, ENDLESS)
    assert outcome.end != "exited" or outcome.exit_code != python.RAN_TO_ITS_END


def test_a_memory_bomb(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "blocks = []\nwhile True: blocks.append(bytes(10_000_000).replace(b'\\0', b'x'))")
    assert outcome.exit_code != python.RAN_TO_ITS_END
    assert "MemoryError" in outcome.stderr or outcome.end == "memory"


def test_a_memory_bomb_of_many_processes(sandbox: Sandbox) -> None:
    source = (
        "import os, time\n"
        "for _ in range(8):\n    if os.fork() == 0:\n        x = b'x' * 60_000_000\n        time.sleep(600)\n"
        "time.sleep(600)"
    )
    assert run(sandbox, source).end == "memory"


@pytest.fixture(params=["counted", "uncounted"])
def either(request: pytest.FixtureRequest, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox in which a control group limits memory, and one on a system that does not allow it."""
    if request.param == "counted":
        if find_parent() is None:
            pytest.skip("no control group for memory can be made here")
        return sandbox
    monkeypatch.setattr("train.evaluate.execution.sandbox.find_parent", lambda: None)
    return Sandbox()


# each claims some gigabytes that are resident in no process
OUTSIDE_OF_PROCESSES = {
    "memfd": "import os\nfor _ in range(200): os.write(os.memfd_create('x'), bytes(7 << 20))",
    "shared segments": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.shmat.restype = ctypes.c_void_p\n"
        "for _ in range(300):\n"
        "    segment = libc.shmget(0, ctypes.c_size_t(10 << 20), 0o1600)\n"
        "    if segment < 0: raise OSError(ctypes.get_errno())\n"
        "    address = libc.shmat(segment, None, 0)\n"
        "    ctypes.memset(address, 1, 10 << 20)\n    libc.shmdt(ctypes.c_void_p(address))"
    ),
    "sockets": (
        "import os, socket, time\n"
        "def fill():\n"
        "    pairs = [socket.socketpair() for _ in range(100)]\n"
        "    for one in (one for pair in pairs for one in pair):\n"
        "        one.setblocking(False)\n"
        "        try:\n            while True: one.send(bytes(65536))\n        except BlockingIOError: pass\n"
        "    time.sleep(600)\n"
        "children = [pid for _ in range(20) if (pid := os.fork()) == 0 and fill() or pid]\n"
        "if os.waitpid(-1, 0)[1]: raise OSError('a child was ended')"
    ),
    "message queues": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "text = ctypes.create_string_buffer(b'\\1', 8008)\n"
        "for _ in range(30000):\n"
        "    number = libc.msgget(0, 0o1600)\n"
        "    if number < 0: raise OSError(ctypes.get_errno())\n"
        "    for _ in range(2): libc.msgsnd(number, text, 8000, 0o4000)"
    ),
}


@pytest.mark.parametrize("bomb", OUTSIDE_OF_PROCESSES)
def test_memory_that_is_in_no_process(either: Sandbox, bomb: str) -> None:
    outcome = run(either, OUTSIDE_OF_PROCESSES[bomb])
    is_refused = "OSError" in outcome.stderr and outcome.exit_code == 1
    assert outcome.end == "memory" or is_refused


@pytest.mark.parametrize("bomb", ["bytes", "shared mappings"])
def test_memory_of_processes(either: Sandbox, bomb: str) -> None:
    source = {
        "bytes": "x = [b'x' * (10 << 20) for _ in range(300)]",
        "shared mappings": (
            "import mmap\nmaps = [mmap.mmap(-1, 10 << 20) for _ in range(300)]\n"
            "for one in maps: one.write(b'x' * (10 << 20))"
        ),
    }[bomb]
    assert run(either, source).end == "memory"


def test_a_control_group_is_removed(sandbox: Sandbox) -> None:
    parent = find_parent()
    if parent is None:
        pytest.skip("no control group for memory can be made here")
    run(sandbox, "print('x')")
    run(sandbox, OUTSIDE_OF_PROCESSES["memfd"])
    assert not list(parent.glob(f"santacoder-program-{os.getpid()}-*"))


def test_keyrings_of_whoever_runs_it_cannot_be_reached(sandbox: Sandbox) -> None:
    calls = _ARCHITECTURES[platform.machine()].calls
    session = ctypes.c_int(-3)  # KEY_SPEC_SESSION_KEYRING
    key = ctypes.CDLL(None).syscall(calls["add_key"], b"user", b"hostile-key", b"secret", 6, session)
    if key < 0:
        pytest.skip("this kernel or container allows no keys")
    try:
        # everybody who possesses or sees it may do everything with it
        ctypes.CDLL(None).syscall(calls["keyctl"], 5, key, ctypes.c_uint32(0x3F3F3F3F))
        source = (
            "import ctypes\nprint('hostile-key' in open('/proc/keys').read())\n"
            "text = ctypes.create_string_buffer(6)\n"
            f"print(ctypes.CDLL(None).syscall({calls['keyctl']}, 11, {key}, text, 6), text.raw.strip(b'\\0'))"
        )
        assert run(sandbox, source).stdout == "False\n-1 b''\n"
    finally:
        ctypes.CDLL(None).syscall(calls["keyctl"], 3, key)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output(sandbox: Sandbox, stream: str) -> None:
    outcome = run(sandbox, f"import sys\nwhile True: sys.{stream}.write('x' * 1000)")
    assert outcome.end == "output"
    assert len(outcome.stdout) + len(outcome.stderr) <= 2 * LIMITS.output


def test_the_home_folder_is_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "hostile-secret"
    secret.write_text("secret")
    outcome = run(sandbox, f"import os\nprint(os.path.exists({str(secret)!r}), os.path.exists({str(Path.cwd())!r}))")
    assert outcome.stdout == "False False\n"
    outcome = run(
        sandbox, "import os\nprint([p for p in ('/home', '/root', '/etc/passwd', '/var') if os.path.exists(p)])"
    )
    assert outcome.stdout == "[]\n" or str(Path.home()) in sys.base_prefix


def test_the_environment_is_empty(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_USER", "hostile-secret")
    source = (
        "import glob, os\nprint(sorted(os.environ))\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: print(open(path).read())\n    except OSError: pass"
    )
    outcome = run(sandbox, source)
    assert "hostile-secret" not in outcome.stdout
    assert "'HOME'" in outcome.stdout


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_VSOCK", "AF_NETLINK", "AF_PACKET", "AF_ALG"])
@pytest.mark.parametrize("call", ["socket", "socketpair"])
def test_no_network(sandbox: Sandbox, family: str, call: str) -> None:
    outcome = run(sandbox, f"import socket\nsocket.{call}(socket.{family})")
    assert "Address family not supported" in outcome.stderr


def test_unix_sockets_stay_in_the_sandbox(sandbox: Sandbox) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0hostile-abstract-name")
        server.listen()
        outcome = run(sandbox, "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0hostile-abstract-name')")
    assert "refused" in outcome.stderr.lower()
    assert run(sandbox, "import asyncio\nprint(asyncio.run(asyncio.sleep(0, 7)))").stdout == "7\n"


def test_killing_the_parent_and_everybody(sandbox: Sandbox) -> None:
    source = "import os, signal\nfor pid in (os.getppid(), 1, -1):\n    os.kill(pid, signal.SIGKILL)\nprint('alive')"
    outcome = run(sandbox, source)
    assert outcome.end == "exited"
    assert run(sandbox, "print('next')").stdout == "next\n"


def test_ignoring_sigterm(sandbox: Sandbox) -> None:
    source = (
        "import signal, time\n"
        "for s in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(s, signal.SIG_IGN)\n"
        "while True: time.sleep(1)"
    )
    started = time.monotonic()
    assert run(sandbox, source, ENDLESS).end == "time"
    assert time.monotonic() - started < SOON


def test_children_that_outlive_it(sandbox: Sandbox) -> None:
    source = (
        "import os, time\n"
        "for _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0: time.sleep(600)\n        os._exit(0)\n"
    )
    started = time.monotonic()
    outcome = run(sandbox, source)
    assert (outcome.end, outcome.exit_code) == ("exited", python.RAN_TO_ITS_END)
    assert time.monotonic() - started < SOON


def test_zombies(sandbox: Sandbox) -> None:
    source = "import os\nfor _ in range(20):\n    if os.fork() == 0: os._exit(0)\nos.close(0)"
    assert run(sandbox, source).exit_code == python.RAN_TO_ITS_END


def test_filling_the_disk(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "import os\nfor i in range(99):\n    open(f'hostile{i}', 'wb').write(bytes(1_000_000))")
    assert "No space left" in outcome.stderr
    outcome = run(sandbox, "open('hostile', 'wb').write(bytes(64_000_000))")
    assert outcome.exit_code != python.RAN_TO_ITS_END


def test_there_is_nowhere_else_to_write(sandbox: Sandbox) -> None:
    source = (
        "import os\n"
        "for folder, _, _ in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/tmp')): continue\n"
        "    try: open(folder + '/hostile', 'w').close()\n    except OSError: continue\n"
        "    print(folder)"
    )
    assert run(sandbox, source).stdout == ""


def test_no_namespace_of_its_own_and_no_privileges(sandbox: Sandbox) -> None:
    source = (
        "import ctypes\n"
        "print(ctypes.CDLL(None).unshare(0x10000000), ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, 0))\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))])"
    )
    assert run(sandbox, source).stdout == "-1 -1\n['0000000000000000', '1']\n"


def test_symlinks_lead_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    source = (
        f"import os\nos.symlink({str(victim)!r}, 'link')\nos.symlink('/', 'root')\nos.remove('program.py')\n"
        f"os.symlink({str(victim)!r}, 'program.py')\n"
        "for name in ('link', 'program.py'):\n"
        "    try: open(name, 'w').write('broken')\n    except OSError as error: print(error.strerror)"
    )
    assert run(sandbox, source).stdout == "No such file or directory\n" * 2
    assert victim.read_text() == "whole"


@pytest.mark.parametrize("then", ["", "import time; time.sleep(600)"])
def test_closing_stdout(sandbox: Sandbox, then: str) -> None:
    outcome = run(
        sandbox,
        f"import os\nfor descriptor in range(256):\n    try: os.close(descriptor)\n    except OSError: pass\n{then}",
        ENDLESS if then else LIMITS,
    )
    assert outcome.end == ("time" if then else "exited")


def test_without_bubblewrap_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SandboxUnavailable, match="--unsafe"):
        Sandbox()


def test_where_the_kernel_forbids_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        forbidden = Path(folder) / "bwrap"
        forbidden.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        for path in (Path(folder), forbidden):
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace.*--unsafe"):
            Sandbox()


def test_unsafe_programs_are_limited_all_the_same() -> None:
    assert NoSandbox().run(python.command("while True: pass"), Limits(seconds=0.5)).end == "time"
    assert NoSandbox().run(python.command("while True: print('x' * 1000)"), LIMITS).end == "output"
    outcome = NoSandbox().run(python.command("open('hostile', 'w').close()"), LIMITS)
    assert outcome.exit_code == python.RAN_TO_ITS_END
