"""Gradio without its stub files is the same Gradio."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_IMPORT = """
import ast, sys
from app.gradio_start import import_lightly
n_parsed = 0
parse = ast.parse
def counted(*arguments, **options):
    global n_parsed
    n_parsed += 1
    return parse(*arguments, **options)
ast.parse = counted
if sys.argv[1] == "without":
    import_lightly()
    import_lightly()
import gradio, gradio.component_meta
components = {name: each for name, each in vars(gradio).items() if isinstance(each, type)}
events = {name: [str(event) for event in getattr(each, "EVENTS", ())] for name, each in components.items()}
print(n_parsed, len(events), hash(str(sorted(events.items()))), gradio.component_meta.__file__)
"""


@pytest.mark.slow
def test_no_source_is_parsed_and_components_have_their_events() -> None:
    def imported(how: str) -> list[str]:
        command = [sys.executable, "-c", _IMPORT, how]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()

    n_with, *with_stubs = imported("with")
    n_without, *without_stubs = imported("without")
    assert with_stubs == without_stubs
    assert int(n_with) > 50 and int(n_without) < 20
