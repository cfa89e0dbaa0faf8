"""Memory that a step frees stays with the process, so the next step does not get it page by page."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys
from train.core.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def step():
    block = library.malloc(40_000_000)  # above what glibc ever keeps by itself
    ctypes.memset(block, 1, 40_000_000)
    library.free(block)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_the_memory_of_a_step_is_used_again_by_the_next() -> None:
    def faults(mode: str) -> int:
        command = [sys.executable, "-c", FAULTS, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    usual, kept = faults("usual"), faults("kept")
    if usual < 100:
        pytest.skip("this C library keeps the memory anyway")
    assert kept < usual / 20
