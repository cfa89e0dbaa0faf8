"""Gradio's scripts with this project's changes."""

from __future__ import annotations

import gzip

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.ui.serving import gradio_scripts
from app.ui.serving.gradio_scripts import ASSETS, CHANGES, Change, changed, gradio_script_routes


def test_the_installed_version_has_each_text_that_is_changed() -> None:
    for change in CHANGES:
        (path,) = ASSETS.glob(f"{change.script}-*.js")
        text = changed(path)
        assert text is not None and change.new in text
        assert text.count(change.old) == change.new.count(change.old)


def test_a_script_without_the_text_is_left_to_gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_scripts, "CHANGES", [*CHANGES, Change("core", "no such text", "")])
    assert [route.path.startswith("/assets/statustracker-") for route in gradio_script_routes().routes] == [True]  # type: ignore[attr-defined]


def test_a_changed_script_is_served_compressed_once_and_as_it_is() -> None:
    app = FastAPI()
    app.include_router(gradio_script_routes())
    client = TestClient(app)
    (path,) = ASSETS.glob("core-*.js")
    plain = client.get(f"/assets/{path.name}", headers={"Accept-Encoding": "identity"})
    assert plain.text == changed(path) != path.read_text()
    assert plain.headers["Content-Type"].startswith("text/javascript")
    with client.stream("GET", f"/assets/{path.name}", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content
    again = client.get(f"/assets/{path.name}", headers={"If-None-Match": plain.headers["ETag"]})
    assert again.status_code == 304 and not again.content
