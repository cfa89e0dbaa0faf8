"""Memory limits of a program and its child processes, enforced by the kernel: a control group for each program.

The resident memory of processes is not all that they use: in-memory files, shared segments, and socket and pipe buffers
are charged only to the group. Both versions of control groups are supported, v2 (``memory.max``) and the memory
controller of v1 (``memory.limit_in_bytes``); see ``admin-guide/cgroup-v2.rst`` and ``cgroup-v1/memory.rst`` of Linux.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_PREFIX = "santacoder-program-"
_SECONDS_TO_EXIT = 5
_numbers = itertools.count()


class MemoryGroup:
    """A new control group below ``parent`` with a limit in bytes; :meth:`enter` starts a command in it.

    Raises:
        OSError: no group with a memory controller can be created there.
    """

    def __init__(self, parent: Path, limit: int) -> None:
        self._folder = parent / f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        self._folder.mkdir()
        is_v2 = (self._folder / "memory.max").exists()
        self._events = self._folder / ("memory.events" if is_v2 else "memory.oom_control")
        try:
            self._write("memory.max" if is_v2 else "memory.limit_in_bytes", limit)
        except OSError:
            self.close()
            raise
        with suppress(OSError):  # the file does not exist without swap
            self._write(*(("memory.swap.max", 0) if is_v2 else ("memory.memsw.limit_in_bytes", limit)))

    def enter(self, arguments: Sequence[str]) -> list[str]:
        """A command that joins the group before it executes ``arguments``, so that nothing runs outside the group."""
        return ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._folder / "cgroup.procs"), *arguments]

    def is_over(self) -> bool:
        """Whether the kernel killed a process because the group reached its limit."""
        fields = dict(line.split() for line in self._events.read_text().splitlines())
        return int(fields.get("oom_kill", 0)) > 0

    def close(self) -> None:
        """Remove the group after its processes have ended."""
        deadline = time.monotonic() + _SECONDS_TO_EXIT
        while time.monotonic() < deadline:
            try:
                return self._folder.rmdir()
            except FileNotFoundError:
                return None
            except OSError:  # the last process is still exiting
                time.sleep(0.005)
        return None

    def _write(self, name: str, value: int) -> None:
        # opened without creating it: a folder that is not a control group has no such file
        with (self._folder / name).open("r+") as file:
            file.write(str(value))


def find_parent() -> Path | None:
    """The control group in which memory groups can be created; None if the system does not allow it.

    Groups left by killed processes are removed.
    """
    for folder in _candidates():
        _sweep(folder)
        with suppress(OSError):
            group = MemoryGroup(folder, 64 << 20)
            try:
                if subprocess.run(group.enter(["/bin/true"]), capture_output=True).returncode == 0:
                    return folder
            finally:
                group.close()
    return None


def _candidates() -> Iterator[Path]:
    """This process's control group and its ancestors, those of v2 first."""
    with suppress(OSError):
        groups = [line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines()]
        own = {controller: path for names, path in groups for controller in names.split(",")}
        mounts = [_cgroup_mount(line) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for version, controller in (("cgroup2", ""), ("cgroup", "memory")):
            for kind, controllers, root, mount in filter(None, mounts):
                if kind != version or (controller and controller not in controllers) or controller not in own:
                    continue
                inside = os.path.relpath(own[controller], root)
                folder = mount if inside.startswith("..") else mount / inside
                yield from (path for path in (folder, *folder.parents) if path.is_relative_to(mount))


def _cgroup_mount(line: str) -> tuple[str, list[str], str, Path] | None:
    """Type, controllers, root and mount point of a line of mountinfo; None if it is not a control group."""
    mount, _, source = line.partition(" - ")
    kind, _, options = source.split(" ", 2)
    if kind not in ("cgroup", "cgroup2"):
        return None
    _, _, _, root, point, *_ = mount.split(" ")
    return kind, options.split(","), root, Path(point)


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            with suppress(OSError):
                left.rmdir()
