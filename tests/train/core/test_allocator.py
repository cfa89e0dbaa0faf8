"""Memory that a step frees stays with the process, so the next step does not get it page by page."""

from __future__ import annotations

import subprocess
import sys

import pytest

from train.core.allocator import keep_freed_memory

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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
@pytest.mark.parametrize("most", [2**25, 2**31 - 1])
def test_a_library_that_refuses_large_values_has_the_largest_that_it_takes(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As older versions of glibc do: mallopt(3) names the limit."""
    values: dict[int, int] = {}

    class Library:
        def mallopt(self, name: int, value: int) -> int:
            if name == -3 and value > most:
                return 0
            values[name] = value
            return 1

    monkeypatch.setattr("ctypes.CDLL", lambda name: Library())
    keep_freed_memory()
    assert values == {-3: most, -1: 2**31 - 1}
