"""Every command has a help text."""

from __future__ import annotations

import importlib

import pytest

COMMANDS = [
    "train",
    "train.data",
    "train.data index",
    "train.embedded",
    "train.embedded.measure",
    "train.embedded.ship",
    "train.evaluate",
    "train.evaluate infilling",
    "train.evaluate memorization",
    "train.evaluate compare",
    "export",
    "santacoder.checkpoints",
    "app.shares.curated",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, *words = command.split()
    is_package = hasattr(importlib.import_module(module), "__path__")
    main = importlib.import_module(f"{module}.__main__" if is_package else module).main
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m {command}")
