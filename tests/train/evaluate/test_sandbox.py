"""Hostile programs: each is stopped, does not disturb the next, and leaves neither a process nor a file."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from train.evaluate.programs import python
from train.evaluate.sandbox import NoSandbox, Sandbox, SandboxUnavailable
from train.evaluate.supervise import Limits, Outcome

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


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_no_network(sandbox: Sandbox, family: str) -> None:
    address = "('1.1.1.1', 53)" if family == "AF_INET" else "('2606:4700:4700::1111', 53)"
    outcome = run(sandbox, f"import socket\nsocket.socket(socket.{family}).connect({address})")
    assert "unreachable" in outcome.stderr.lower() or "cannot assign" in outcome.stderr.lower()


def test_servers_of_this_machine_cannot_be_reached(sandbox: Sandbox) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = run(sandbox, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1)")
    assert "refused" in outcome.stderr.lower()


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
