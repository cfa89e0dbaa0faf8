"""The sandbox and the benchmark data, if available."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.evaluate.execution.sandbox import Sandbox, SandboxUnavailable
from train.evaluate.tasks import data


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    try:
        return Sandbox()
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def benchmark_data() -> Path:
    """The folder with the benchmarks' files, which are not part of the project."""
    folder = data.default_folder()
    if folder is None:
        pytest.skip("the benchmark data is not here; name its folder in SANTACODER_EVAL_DATA")
    return folder
