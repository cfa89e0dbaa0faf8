"""The engine of the browser does what Python's does: both are held to the same test vectors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.web.write_vectors import FOLDER, all_vectors

OLDEST_NODE = 18


@pytest.fixture(scope="module")
def node() -> str:
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node.js is not installed")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node.js {version.strip()} has no test runner")
    return path


def test_the_vectors_are_what_the_engine_does_today() -> None:
    """Otherwise: ``python -m tests.web.write_vectors``."""
    stored = {path.stem: json.loads(path.read_text(encoding="ascii")) for path in FOLDER.glob("*.json")}
    assert difference(stored, json.loads(json.dumps(all_vectors()))) == ""


def difference(first: Any, second: Any) -> str:
    """Where two JSON values differ, or nothing; numbers may differ by rounding."""
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return f": {sorted(first)} and {sorted(second)}"
        pairs = [(str(key), each, second[key]) for key, each in first.items()]
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return f": {len(first)} and {len(second)} elements"
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(first, second, strict=True))]
    elif isinstance(first, float) and isinstance(second, float):
        return "" if first == pytest.approx(second, abs=1e-4) else f": {first} and {second}"
    else:
        return "" if first == second else f": {first!r} and {second!r}"
    return next((f"/{key}{found}" for key, each, other in pairs if (found := difference(each, other))), "")


def test_the_browser_engine_gives_the_same(node: str) -> None:
    tests = sorted((REPOSITORY / "web" / "tests").glob("*.test.js"))
    assert tests
    found = subprocess.run([node, "--test", *map(str, tests)], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_engine_runs_in_a_worker() -> None:
    """It neither needs a page nor Node.js, and imports nothing but itself; ``runner.js`` is given its library."""
    modules = sorted((REPOSITORY / "web" / "engine").rglob("*.js"))
    assert len(modules) > 20
    for path in modules:
        text = path.read_text(encoding="utf-8")
        imported = re.findall(r"^(?:import|export)\b[^;]*?\bfrom \"([^\"]+)\"", text, re.MULTILINE)
        assert all(name.startswith("./") or name.startswith("../") for name in imported), path
        assert not re.search(r"\b(?:document|window|process|require)\b[.(]", text), path
