"""The browser's engine writes what the server's does with the same graph; see ``benchmarks.browser_agreement``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.browser_agreement import by_browser, by_server, difference, made_requests, site_model
from export.site import runtime_is_installed

MODEL = "santacoder/nano"

pytestmark = pytest.mark.skipif(
    not (runtime_is_installed() and shutil.which("node")), reason="Node.js or the packages of web/ are not installed"
)


def test_both_engines_write_the_same(tmp_path: Path) -> None:
    folder = site_model(tmp_path / "site", MODEL)
    requests = [*made_requests(12)]
    server, browser = by_server(folder, MODEL, requests), by_browser(folder, requests)
    found = [difference(*pair, f"prompt {number}") for number, pair in enumerate(zip(server, browser, strict=True))]
    assert not any(found), found
    assert sum(len(each.tokens) for each in server) > 100
