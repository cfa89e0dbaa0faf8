"""The installed command ``santacoder COMMAND``; each command is the same as its ``python -m``."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from app.version import installed_version

_HELP = """usage: santacoder COMMAND [OPTION ...]

commands:
  serve        serve the playground, as python app.py
  train        train or fine-tune a model, as python -m train
  tune         tune a model to a folder of code, as python -m app.tune
  evaluate     run benchmarks and compare revisions, as python -m train.evaluate
  export       write ONNX graphs, as python -m export
  lsp          suggest code in editors, as python -m app.lsp
  checkpoints  upload published models, list or drop cached graphs, as python -m santacoder.checkpoints

santacoder COMMAND --help lists the options of a command; santacoder --version prints the version.
"""
_MODULES = {
    "train": "train.__main__",
    "tune": "app.tune.__main__",
    "evaluate": "train.evaluate.__main__",
    "export": "export.__main__",
    "lsp": "app.lsp.__main__",
    "checkpoints": "santacoder.checkpoints.__main__",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command named by the first argument. Returns the command's exit code, or 2 if there is no such
    command.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    if name == "--version":
        print(installed_version())
        return 0
    if name == "serve":
        return serve(rest)
    if name not in _MODULES:
        print(f"There is no command {name!r}. The commands are: serve, {', '.join(_MODULES)}.", file=sys.stderr)
        return 2
    return int(import_module(_MODULES[name]).main(rest))


def serve(arguments: list[str] | None = None) -> int:
    """Serve until stopped. Returns 1 if the server could not start."""
    from app.gradio_start import import_lightly
    from app.proxies import proxy_problem
    from app.space import adopt_environment

    if problem := proxy_problem():  # checked before Gradio is imported, which creates a client
        print(problem, file=sys.stderr)
        return 1
    adopt_environment(os.environ)  # before the Hub's client is imported, which reads its cache's folder
    import_lightly()
    gc.disable()  # what is made until the server is ready stays, and searching it for garbage takes a fifth of the time
    try:
        from app.server import main as serve_until_stopped

        return serve_until_stopped(arguments)
    finally:
        gc.enable()  # if it has not become ready
