"""The snippets of docs/editors.md in real editors, as they are: each asks for a completion of ``ret`` and takes it.

Run with ``pytest -m heavy``, where Neovim, or Emacs with lsp-mode, is installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.app.api.conftest import Serving, serve
from tests.conftest import REPOSITORY

DOCUMENTED = (REPOSITORY / "docs" / "editors.md").read_text()
CODE = "def circle_area(radius):\n    ret\n\n\nprint(circle_area(2))\n"
SECONDS = 60
EMACS = """
(require 'lsp-completion)
(setq lsp-auto-guess-root t lsp-session-file "session" lsp-response-timeout {seconds})
(load-file "snippet.el")
(find-file "area.py")
(python-mode)
(lsp)
(with-timeout ({seconds} (error "the server has not started"))
  (while (not (and (lsp-workspaces) (eq 'initialized (lsp--workspace-status (car (lsp-workspaces))))))
    (accept-process-output nil 0.05)))
(search-forward "ret")
(lsp-completion-mode 1)
(completion-at-point)
(save-buffer)
"""


pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with serve(Settings(device="cpu", page=False)) as serving:
        yield serving


@pytest.fixture
def taken(serving: Serving) -> str:
    """The code with what the server fills in."""
    prefix, suffix = CODE.split("\n\n\n")[0], CODE[CODE.index("ret") + 3 :]
    body = {"input_prefix": prefix, "input_suffix": suffix, "stop_at": "line", "language": "python", "n_predict": 64}
    sampling = {"temperature": 0, "min_logprob": -2, "stop_repetition": True}
    answer = httpx.post(f"{serving.url}/infill", json={**body, **sampling})
    return f"{prefix}{answer.raise_for_status().json()['content']}{suffix}"


@pytest.fixture
def folder(tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one file, where the command ``santacoder`` has a language server in front of ``serving``."""
    python = f'PYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m app.lsp'
    script = tmp_path / "bin" / "santacoder"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\n[ "$1" = lsp ] && {python} --url {serving.url}\n')
    script.chmod(0o755)
    (tmp_path / ".git").mkdir()
    (tmp_path / "area.py").write_text(CODE)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def snippet(heading: str) -> str:
    found = re.search(rf"^\*\*{re.escape(heading)}.*?^```\w+\n(.*?)^```", DOCUMENTED, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def wait_for(value: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not value():
        assert time.monotonic() < deadline, "nothing has come"
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("nvim") is None, reason="there is no nvim")
def test_neovim_with_its_menu_of_completions(folder: Path, taken: str) -> None:
    (folder / "init.lua").write_text(snippet("Neovim** before 0.12"))
    start = ["nvim", "--headless", "--clean", "--listen", "socket", "--cmd", "luafile init.lua"]

    def tell(*arguments: str) -> str:
        told = ["nvim", "--server", "socket", *arguments]
        done = subprocess.run(told, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=True)
        return done.stdout or done.stderr  # where 0.9 and older answer

    with subprocess.Popen(
        [*start, "-c", "set completeopt=menuone,noinsert", "area.py"], cwd=folder, stderr=subprocess.DEVNULL
    ) as nvim:
        try:
            wait_for(lambda: (folder / "socket").exists())
            is_ready = "luaeval('vim.lsp.buf_is_attached(0) or #vim.lsp.buf_get_clients(0)')"
            wait_for(lambda: tell("--remote-expr", is_ready).strip() not in ("0", "v:false", "false"))
            tell("--remote-send", "2GA<C-x><C-o>")
            wait_for(lambda: len(json.loads(tell("--remote-expr", "json_encode(complete_info().items)"))) == 1)
            tell("--remote-send", "<C-y><Esc>:w<CR>")
            wait_for(lambda: (folder / "area.py").read_text() != CODE)
        finally:
            nvim.kill()
    assert (folder / "area.py").read_text() == taken != CODE


@pytest.mark.skipif(
    shutil.which("emacs") is None or not list(Path("/usr/share/emacs/site-lisp/elpa").glob("lsp-mode-*")),
    reason="there is no Emacs with lsp-mode (elpa-lsp-mode)",
)
def test_emacs_with_lsp_mode(folder: Path, taken: str) -> None:
    (folder / "snippet.el").write_text(snippet("Emacs** with lsp-mode"))
    (folder / "drive.el").write_text(EMACS.format(seconds=SECONDS))
    command = ["emacs", "--batch", "-l", "lsp-mode", "-l", "drive.el"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=2 * SECONDS)
    assert (folder / "area.py").read_text() == taken != CODE, done.stderr
