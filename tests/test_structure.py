"""The layers of the code, which may import which, and the map of its modules (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
from collections import Counter
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
# the only folder whose files may import ONNX Runtime
ONNX_FOLDER = "santacoder/engine/onnx/"
# names of several modules of one layer
SHARED_NAMES = {"arguments.py", "pane.py", "presets.py", "report.py", "routes.py", "runner.py"}
# code to learn from, which nothing imports
SAMPLE = REPOSITORY / "app" / "sample_project"
FILES = [
    path
    for floor in FORBIDDEN
    for path in sorted((REPOSITORY / floor).rglob("*.py"))
    if not path.is_relative_to(SAMPLE)
]


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
    forbidden = FORBIDDEN[name.split("/")[0]] - ({"onnxruntime"} if name.startswith(ONNX_FOLDER) else set())
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


def documented_modules(text: str) -> list[str]:
    """The paths of the modules in the map: an indented tree, in which a line's first word is a folder, or the names in
    the line are in the folder of the lines above that are indented less."""
    found: list[str] = []
    folders: list[tuple[int, str]] = [(-1, "")]
    for line in text.split("\n## Map\n", 1)[1].split("```")[1].splitlines():
        indent = len(line) - len(line.lstrip())
        while indent <= folders[-1][0]:
            folders.pop()
        first, _, rest = line.strip().partition(" ")
        if first.endswith("/"):
            folders.append((indent, folders[-1][1] + first))
        else:
            rest = line
        found += [folders[-1][1] + name for name in re.findall(r"(?<![\w/.])[\w/]+\.py\b", rest)]
    return found


def test_the_map_names_every_module() -> None:
    in_map = documented_modules((REPOSITORY / "docs" / "architecture.md").read_text())
    modules = {path.relative_to(REPOSITORY).as_posix() for path in FILES if path.name != "__init__.py"}
    in_layers = [name for name in in_map if name.split("/")[0] in FORBIDDEN]
    assert sorted(in_layers) == sorted(modules)


def test_modules_of_one_name_are_told_apart_by_their_folders() -> None:
    """``compare/pane.py`` and ``branches/pane.py``; any other name is that of one module in each layer's folder."""
    names = [(path.relative_to(REPOSITORY).parts[0], path.name) for path in FILES if not path.stem.startswith("__")]
    shared = {name for (_, name), n in Counter(names).items() if n > 1}
    assert shared <= SHARED_NAMES


def folders_imported(folder: Path) -> dict[str, set[str]]:
    """Which parts of ``folder``, modules or folders, each of them imports."""
    prefix = folder.relative_to(REPOSITORY).as_posix().replace("/", ".") + "."
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        part = path.relative_to(folder).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix):
                found.setdefault(part, set()).add(str(node.module).removeprefix(prefix).split(".")[0])
    return {part: imports - {part} for part, imports in found.items()}


@pytest.mark.parametrize("folder", ["app", "app/api", "app/ui", "santacoder", "train", "train/evaluate"])
def test_the_parts_of_a_folder_import_in_one_direction(folder: str) -> None:
    imports = folders_imported(REPOSITORY / folder)
    while bottom := [part for part in imports if not imports[part] & imports.keys()]:
        imports = {part: below for part, below in imports.items() if part not in bottom}
    assert not imports, "these import each other"
