"""Makes Gradio start faster: it writes no stub files, and makes its application once."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

_MODULE = "gradio.component_meta"


def import_without_stubs() -> None:
    """Call this before anything imports Gradio.

    Whenever Gradio is imported, it parses its own source twice for each component and writes a stub file for editors
    beside it, where it may. That takes two of the six seconds of processor time that the import takes on a Zen 3 core.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextmanager
def without_applications() -> Iterator[None]:
    """Build a page without applications for it.

    Gradio makes one when a page is begun, when it is complete, and when it gets its queue, each in half a second. The
    one that serves the page is made when it is mounted.
    """
    import gradio.blocks

    real = gradio.blocks.App
    gradio.blocks.App = SimpleNamespace(create_app=lambda *arguments, **options: None)
    try:
        yield
    finally:
        gradio.blocks.App = real


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _MODULE or path is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.create_or_modify_pyi = lambda component_class, class_name, events: None  # type: ignore[attr-defined]
