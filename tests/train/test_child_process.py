"""Processes end with the one that started them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.python_process import PythonProcess

WORKING = """
import multiprocessing, os, time

os.cpu_count = lambda: 2
multiprocessing.current_process().daemon = False  # so that it may have children
from train.data.local import LocalExecutor

LocalExecutor().map(time.sleep, [600, 600], "sleeping")
"""


def children(pid: int) -> set[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for of_thread in lists for child in of_thread.read_text().split()}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_workers_end_with_a_command_that_is_killed() -> None:
    process = PythonProcess("-c", WORKING)
    while len(workers := children(process.pid)) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    while any(map(is_running, workers)):
        time.sleep(0.01)
