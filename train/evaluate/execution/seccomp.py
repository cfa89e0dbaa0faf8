"""The filter of system calls for untrusted programs.

Namespaces hide resources from a program, but some calls reach past them, or use memory that no process is charged for.
The filter is a classic BPF program that bubblewrap passes to the kernel (``--seccomp``); see seccomp(2) for its input
and the kernel's ``networking/filter.rst`` for its instructions. System call numbers are those of Linux's
``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct
from typing import NamedTuple

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_GREATER_OR_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
# offsets in struct seccomp_data; arguments: the low half, on little-endian machines
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


class _Architecture(NamedTuple):
    """``audit`` is the kernel's ``AUDIT_ARCH_*`` value, ``calls`` the numbers of the system calls named below."""

    audit: int
    calls: dict[str, int]


_NEVER = ("add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup")
"""Access to the operator's keyrings, and kernel interfaces that no benchmark's program needs."""

_UNCOUNTED = ("memfd_create", "memfd_secret", "shmget", "msgget", "vmsplice")
"""Calls that allocate memory outside any process's address space."""

_SOCKETS = ("socket", "socketpair")

_ARCHITECTURES = {
    "x86_64": _Architecture(
        0xC000003E,
        {
            **{"add_key": 248, "request_key": 249, "keyctl": 250, "bpf": 321, "perf_event_open": 298},
            **{"userfaultfd": 323, "io_uring_setup": 425, "memfd_create": 319, "memfd_secret": 447},
            **{"shmget": 29, "msgget": 68, "vmsplice": 278, "socket": 41, "socketpair": 53},
        },
    ),
    "aarch64": _Architecture(
        0xC00000B7,
        {
            **{"add_key": 217, "request_key": 218, "keyctl": 219, "bpf": 280, "perf_event_open": 241},
            **{"userfaultfd": 282, "io_uring_setup": 425, "memfd_create": 279, "memfd_secret": 447},
            **{"shmget": 194, "msgget": 186, "vmsplice": 75, "socket": 198, "socketpair": 199},
        },
    ),
}
# calls of the x32 ABI have the same architecture value and this bit
_X32 = 0x40000000


def is_known_here() -> bool:
    """Whether there is a filter for this machine's architecture."""
    return platform.machine() in _ARCHITECTURES


def filter_program(*, memory_is_counted: bool) -> bytes:
    """The filter for this machine, as an array of ``struct sock_filter``.

    Only Unix sockets are allowed. If no control group counts memory outside processes' address spaces
    (``memory_is_counted`` is false), calls that allocate such memory are rejected, and so are all sockets, because of
    their buffers.
    """
    audit, calls = _ARCHITECTURES[platform.machine()]
    program = [_load(_ARCHITECTURE), *_unless_equal(audit, _KILL_PROCESS), _load(_NUMBER)]
    if platform.machine() == "x86_64":
        program += [_jump(_JUMP_IF_GREATER_OR_EQUAL, _X32, if_not=1), _return(_ERRNO | errno.ENOSYS)]
    # runtimes that use them handle ENOSYS, which older kernels return
    refused = [*_NEVER, *(() if memory_is_counted else _UNCOUNTED)]
    for name in refused:
        program += [_jump(_JUMP_IF_EQUAL, calls[name], if_not=1), _return(_ERRNO | errno.ENOSYS)]
    for name in _SOCKETS:
        if memory_is_counted:
            checked = [_load(_FIRST_ARGUMENT), *_unless_equal(socket.AF_UNIX, _ERRNO | errno.EAFNOSUPPORT)]
            program += [_jump(_JUMP_IF_EQUAL, calls[name], if_not=len(checked) + 1), *checked, _return(_ALLOW)]
        else:
            program += [_jump(_JUMP_IF_EQUAL, calls[name], if_not=1), _return(_ERRNO | errno.EAFNOSUPPORT)]
    return b"".join([*program, _return(_ALLOW)])


def join_new_session_keyring() -> None:
    """Give the calling thread, and processes it starts later, a new empty session keyring.

    Kernels without keyrings, and containers that forbid them, have none that could be read.
    """
    keyctl_join_session_keyring = 1
    keyctl = _ARCHITECTURES[platform.machine()].calls["keyctl"]
    ctypes.CDLL(None).syscall(keyctl, keyctl_join_session_keyring, None)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, 0, 0, offset)


def _jump(code: int, value: int, *, if_not: int) -> bytes:
    """Continue with the next instruction if the comparison holds, else skip ``if_not`` instructions."""
    return _instruction(code, 0, if_not, value)


def _unless_equal(value: int, result: int) -> list[bytes]:
    return [_instruction(_JUMP_IF_EQUAL, 1, 0, value), _return(result)]


def _return(result: int) -> bytes:
    return _instruction(_RETURN, 0, 0, result)


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
