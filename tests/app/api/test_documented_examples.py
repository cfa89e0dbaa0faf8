"""The programs of docs/editors.md, run as they stand there: each prints what its comment says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from app.settings import Settings
from tests.app.api.conftest import Serving, serve
from tests.conftest import REPOSITORY

PROGRAMS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "editors.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def embedded() -> Iterator[Serving]:
    """A server as ``python app.py`` starts it."""
    with serve(Settings(store=REPOSITORY / "checkpoints", device="cpu")) as serving:
        yield serving


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.split()[1])
def test_a_program_prints_what_its_comment_says(
    embedded: Serving, program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = re.findall(r"print\(.*\)  # (.*)", program)
    exec(program.replace("http://127.0.0.1:7860", embedded.url), {})
    assert len(said) == 1 and capsys.readouterr().out.splitlines()[-1] == said[0]
