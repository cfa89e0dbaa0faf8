"""The commands and programs the page shows, run as a person would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.generating import Task
from app.ui.snippets import Call, snippet
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from tests.browser.conftest import Server


def call(server: Server, parts: tuple[str, ...], order: FimOrder, stop: tuple[str, ...] = ()) -> Call:
    sampling = SamplingParams(max_new_tokens=6, temperature=0, repetition_penalty=1.2, stop=stop)
    pane = "complete" if len(parts) == 1 else "infill"
    task = Task(pane, "python", parts, sampling, order)  # type: ignore[arg-type]
    return Call(task, "test/tiny", "main", server.url, str(server.store))


def output(command: list[str]) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "parts,order",
    [(("it's = \"$(x)`\\\n",), "psm"), (("a = ", "\nb'$\n"), "psm"), (("a = ", "\nb\n"), "spm")],
    ids=["complete", "psm", "spm"],
)
def test_all_of_them_run_and_those_of_the_server_write_the_same(
    server: Server, parts: tuple[str, ...], order: FimOrder, tmp_path: Path
) -> None:
    asked = call(server, parts, order)
    by_curl = json.loads(output(["bash", "-c", snippet("curl", asked)]))["content"]
    texts = {"curl": by_curl}
    for kind in ("Python", "transformers"):
        program = tmp_path / "program.py"
        program.write_text(snippet(kind, asked), encoding="utf-8")
        texts[kind] = output([sys.executable, str(program)])[:-1]
    assert by_curl
    assert texts["Python"] == by_curl
    assert texts["transformers"]  # in other arithmetic: a model of random weights soon writes something else


def test_what_is_asked_for_is_in_them(server: Server) -> None:
    asked = call(server, ("x",), "psm", stop=("\n\n", '"'))
    body = json.loads(snippet("curl", asked).partition("-d '")[2].rpartition("'")[0])
    assert body["stop"] == ["\n\n", '"'] and body["repeat_penalty"] == 1.2 and body["n_predict"] == 6
    for kind in ("Python", "transformers"):
        compile(snippet(kind, asked), kind, "exec")
        assert "1.2" in snippet(kind, asked)
