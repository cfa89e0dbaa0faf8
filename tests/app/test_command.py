"""``santacoder COMMAND``, and a check that all imports are declared dependencies."""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from app.command import main
from tests.conftest import REPOSITORY

OURS = {"app", "benchmarks", "export", "santacoder", "tests", "train"}
PROJECT = (REPOSITORY / "pyproject.toml").read_text()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    """The distributions in ``pyproject.toml``, including extras and groups."""
    return {normal(name) for name in re.findall(r'"([A-Za-z][\w.-]*)(?:\[[\w,]*\])?(?:[<>=]=?)[^"]*"', PROJECT)}


def locked(name: str) -> set[str]:
    return {normal(line.split("==")[0]) for line in (REPOSITORY / name).read_text().splitlines() if "==" in line}


def imported() -> set[str]:
    found = set()
    for folder in sorted(OURS):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


def test_what_is_imported_is_declared_and_locked() -> None:
    known = packages_distributions()
    distributions = {name: {normal(each) for each in known.get(name, [])} for name in imported()}
    undeclared = {name for name, found in distributions.items() if found and not found & declared()}
    assert not undeclared
    assert declared() - {"hatchling", "torch"} <= locked("requirements-test.lock")


def test_the_lock_files_hold_hashes_and_agree() -> None:
    for name in ("requirements.lock", "requirements-serve.lock", "requirements-test.lock"):
        lines = (REPOSITORY / name).read_text().splitlines()
        pins = [number for number, line in enumerate(lines) if "==" in line]
        assert all("--hash=sha256:" in lines[number + 1] for number in pins)
        assert not any("://" in line for line in lines)
    pins = {line for line in (REPOSITORY / "requirements.lock").read_text().splitlines() if "==" in line}
    of_tests = (REPOSITORY / "requirements-test.lock").read_text()
    assert not {line for line in pins if line.split(" ")[0] not in of_tests}
    served = set(re.findall(r"^\S+==\S+", (REPOSITORY / "requirements-serve.lock").read_text(), re.MULTILINE))
    assert served <= {line.split(" ")[0] for line in pins} and "torch" not in locked("requirements-serve.lock")


@pytest.mark.parametrize("command", ["serve", "train", "tune", "evaluate", "export", "checkpoints"])
def test_every_command_tells_how_it_is_used(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/santacoder", command, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: santacoder {command}")
    assert gc.isenabled()


def test_a_command_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sevre"]) == 2
    assert "There is no command 'sevre'. The commands are: serve, train" in capsys.readouterr().err
    assert main([]) == 0
    assert "santacoder COMMAND" in capsys.readouterr().out


@pytest.mark.heavy
def test_a_wheel_has_every_file_of_its_packages(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    listing = ["git", "ls-files", "app", "export", "santacoder", "train"]
    tracked = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert len(tracked) > 300 and set(tracked) <= packed
    assert {"export/web/page/index.html", "export/web/LICENSE"} <= packed
