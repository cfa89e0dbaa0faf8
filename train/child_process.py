"""Child processes that end with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent``, the process that started it, ends, even if that is killed.

    Only Linux can do so. Elsewhere, a process whose parent was killed goes on.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # which has ended before the kernel was asked
            signal.raise_signal(signal.SIGKILL)
