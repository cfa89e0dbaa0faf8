"""The layers of the code: which may import which (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FORBIDDEN = {
    "santacoder": {"train", "export", "app", "gradio", "fastapi", "onnxruntime"},
    "train": {"export", "app", "gradio", "fastapi", "onnxruntime"},
    "export": {"train", "app", "gradio", "fastapi", "onnxruntime"},
    "app": {"onnxruntime"},
}
# the only files that may import ONNX Runtime
ONNX_FILES = {f"santacoder/engine/onnx_{part}.py" for part in ("cache", "runner", "session", "step")}
FILES = [path for floor in FORBIDDEN for path in sorted((REPOSITORY / floor).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_go_down(path: Path) -> None:
    name = path.relative_to(REPOSITORY).as_posix()
    forbidden = FORBIDDEN[name.split("/")[0]] - ({"onnxruntime"} if name in ONNX_FILES else set())
    assert forbidden.isdisjoint(imported(path))


def raised_value_errors(path: Path) -> list[str]:
    raised = [node.exc for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
    calls = [exc.func for exc in raised if isinstance(exc, ast.Call)]
    return [f"{path}:{func.lineno}" for func in calls if isinstance(func, ast.Name) and func.id == "ValueError"]


def test_what_is_told_to_users_is_no_bare_value_error() -> None:
    """A ``ValueError`` is reported as an internal error; ``santacoder.errors.UserError`` is for errors that users can
    fix.
    """
    assert [place for path in FILES for place in raised_value_errors(path)] == []


def test_the_layout_is_the_documented_one() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    undocumented = [path.name for path in FILES if path.name != "__init__.py" and path.name not in text]
    assert not undocumented
