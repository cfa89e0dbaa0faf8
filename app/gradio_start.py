"""Makes Gradio start faster and smaller: no stub files, its application once, and pandas when it is used."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any


def import_lightly() -> None:
    """Call this before anything imports Gradio.

    Whenever Gradio is imported, it parses its own source twice for each component and writes a stub file for editors
    beside it, where it may. That takes two of the six seconds of processor time that the import takes on a Zen 3 core.
    And it imports pandas, with Arrow, for tables that this page does not have; that takes 70 MB.
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
        if fullname not in _LOADERS or path is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        spec.loader = _LOADERS[fullname](fullname, spec.origin)
        return spec


class _WithoutStubs(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.create_or_modify_pyi = lambda component_class, class_name, events: None  # type: ignore[attr-defined]


class _WithPandasLater(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        placeholder = _Pandas("pandas")
        sys.modules.setdefault("pandas", placeholder)
        super().exec_module(module)
        placeholder.give_way()


class _Pandas(ModuleType):
    """Stands for pandas in a module that has imported it, until something of it is used."""

    def give_way(self) -> None:
        if sys.modules.get("pandas") is self:
            del sys.modules["pandas"]

    def __getattr__(self, name: str) -> Any:
        self.give_way()
        return getattr(importlib.import_module("pandas"), name)


_LOADERS = {"gradio.component_meta": _WithoutStubs, "gradio.caching": _WithPandasLater}
