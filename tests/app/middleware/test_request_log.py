"""Requests that fail inside the server: their status, their id, and what the log says."""

from __future__ import annotations

import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from app.middleware.request_log import Requests
from app.observability.metrics import Metrics


def test_a_failure_has_an_id_a_sentence_and_its_status(caplog: pytest.LogCaptureFixture) -> None:
    app, metrics = FastAPI(), Metrics()
    app.add_middleware(Requests, metrics=metrics)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a fault of the server")

    @app.get("/left")
    def left() -> None:
        raise ClientDisconnect

    with caplog.at_level(logging.INFO):
        answer = TestClient(app).get("/broken", headers={"X-Request-Id": "mine"})
        with pytest.raises(ClientDisconnect):
            TestClient(app).get("/left")
    assert answer.status_code == 500 and answer.headers["X-Request-Id"] == "mine"
    assert answer.json()["error"].startswith("Something went wrong on the server.")
    assert "a fault of the server" in caplog.text
    assert [record.status for record in caplog.records if record.message == "request"] == [500, 499]  # type: ignore[attr-defined]
