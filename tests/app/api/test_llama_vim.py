"""The real llama.vim in a real Neovim: it requests a suggestion, shows it at the cursor, and Tab accepts it.

Runs only if SANTACODER_LLAMA_VIM names a checkout of the plugin. Neovim 0.11 works; 0.7 lacks a function that it calls.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.api.conftest import Serving

PLUGIN = os.environ.get("SANTACODER_LLAMA_VIM", "")
SHOWN = "map(nvim_buf_get_extmarks(0, nvim_create_namespace('vt_fim'), 0, -1, {'details': v:true}), 'v:val[3]')"
SECONDS = 30

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not PLUGIN, reason="SANTACODER_LLAMA_VIM does not name a checkout of llama.vim"),
    pytest.mark.skipif(shutil.which("nvim") is None, reason="there is no nvim"),
]


def wait_for(value: Callable[[], str]) -> str:
    deadline = time.monotonic() + SECONDS
    while not (found := value()):
        assert time.monotonic() < deadline, "nothing has come"
        time.sleep(0.05)
    return found


def test_a_suggestion_is_shown_and_taken(serving: Serving, tmp_path: Path) -> None:
    file, socket = tmp_path / "area.py", tmp_path / "socket"
    file.write_text("def area(width, height):\n    return \n\n\nprint(area(2, 3))\n")
    settings = f"let g:llama_config = {{'endpoint_fim': '{serving.url}/infill', 'n_predict': 8, 'show_info': 0}}"
    command = ["nvim", "--headless", "--clean", "--listen", str(socket), "--cmd", f"set rtp^={PLUGIN}"]

    def tell(*arguments: str) -> str:
        done = subprocess.run(
            ["nvim", "--server", str(socket), *arguments], capture_output=True, text=True, timeout=SECONDS, check=True
        )
        return done.stdout or done.stderr  # where 0.9 and older answer

    def suggestion() -> str:
        marks = json.loads(tell("--remote-expr", f"json_encode({SHOWN})"))
        lines = [line for mark in marks for line in [mark.get("virt_text", []), *mark.get("virt_lines", [])] if line]
        return "\n".join("".join(text for text, _ in line) for line in lines)

    with subprocess.Popen([*command, "--cmd", settings, str(file)], stderr=subprocess.DEVNULL) as neovim:
        try:
            wait_for(lambda: "there" if socket.exists() else "")
            tell("--remote-send", "2GA")
            shown = wait_for(suggestion)
            tell("--remote-send", "<Tab><Esc>:w<CR>")
            wait_for(lambda: "written" if "return \n" not in file.read_text() else "")
        finally:
            neovim.kill()
    assert file.read_text() == f"def area(width, height):\n    return {shown}\n\n\nprint(area(2, 3))\n"
