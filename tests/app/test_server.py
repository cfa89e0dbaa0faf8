"""Starting the server, and the messages if it cannot start."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from app.settings import parse_settings
from tests.python_process import ServerProcess


def start(*options: str) -> subprocess.CompletedProcess[str]:
    """``python app.py`` with options that prevent it from starting."""
    process = ServerProcess(*options, quiet=True)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(options, process.wait(), out, err)


@pytest.mark.slow
def test_a_port_in_use_is_one_sentence(store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = start("--port", str(port), "--store", str(store), "--model", "test/tiny")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr and "--port" in result.stderr


@pytest.mark.parametrize(
    "options,sentence",
    [
        (["--model", "test/absent"], "There is no model 'test/absent'"),
        (["--model", "test/tiny", "--revision", "nope"], "has no revision 'nope'. Its branches are: main, other."),
        (["--model", "test/tiny", "--runner", "onnx"], "has no ONNX graph"),
        (["--host", "not an address"], "Cannot listen on not an address"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(store: Path, options: list[str], sentence: str) -> None:
    result = start("--port", "0", "--store", str(store), *options)
    assert result.returncode == 1
    assert sentence in result.stderr and result.stderr.count("\n") == 1


def test_a_proxy_that_cannot_be_used_is_one_sentence(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    result = start("--port", "0", "--store", str(store), "--model", "test/absent")
    assert result.returncode == 1
    assert "names a proxy that cannot be used" in result.stderr and result.stderr.count("\n") == 1
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    result = start("--port", "0", "--store", str(store), "--model", "test/absent")
    assert "There is no model 'test/absent'" in result.stderr and result.stderr.count("\n") == 1


def test_a_home_is_expanded_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SANTACODER_DATABASE_URL", "sqlite:///~/shares.db")
    settings = parse_settings(["--store=~/models", "--runs=~/runs", "--attribution=~/index"])
    assert settings.store == tmp_path / "models" and settings.runs == tmp_path / "runs"
    assert settings.attribution == tmp_path / "index"
    assert settings.database_url == f"sqlite:///{tmp_path}/shares.db"
    assert parse_settings(["--store", "~nobody-of-that-name/x"]).store == Path("~nobody-of-that-name/x")


def test_the_address_that_is_printed_works(store: Path) -> None:
    process = ServerProcess("--port", "0", "--host", "::1", "--store", str(store), "--model", "test/tiny", quiet=True)
    assert process.stdout is not None
    url, _, token = process.stdout.readline().split()[2].partition("/?token=")
    assert url.startswith("http://[::1]:") and len(token) == 32
    assert httpx.get(f"{url}/health", timeout=60, trust_env=False).status_code == 200
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_help_names_the_options() -> None:
    result = start("--help")
    assert result.returncode == 0
    for option in ("--host", "--port", "--model", "--revision", "--runner", "--device"):
        assert option in result.stdout


@pytest.mark.slow
def test_a_stop_is_clean(store: Path) -> None:
    process = ServerProcess("--port", "0", "--store", str(store), "--model", "test/tiny", quiet=True)
    assert process.stdout is not None
    (url,) = re.findall(r"http://127.0.0.1:\d+", process.stdout.readline())
    with httpx.stream("GET", f"{url}/gradio_api/heartbeat/page", timeout=60) as page:  # as an open page does
        assert page.status_code == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in said


def test_the_api_alone_on_two_addresses_with_a_seed(store: Path) -> None:
    process = ServerProcess(
        *["--host", "127.0.0.1,::1", "--port", "0", "--store", str(store)],
        *["--model", "test/tiny", "--no-page", "--no-slots", "--seed", "5"],
        quiet=True,
    )
    assert process.stdout is not None
    urls = [re.findall(r"http://\S+:\d+", process.stdout.readline())[0] for _ in range(2)]
    assert urls[0].startswith("http://127.0.0.1:") and urls[1].startswith("http://[::1]:")
    texts = []
    for url in urls:
        with httpx.Client(base_url=url, timeout=60) as http:
            assert http.get("/").status_code == 404 and "There is no / here." in http.get("/").text
            assert http.get("/v1/models").status_code == 200
            assert http.get("/slots").json()["error"]["type"] == "not_supported_error"
            answer = http.post("/v1/completions", json={"prompt": "x = ", "n": 2}).json()
            texts.append([choice["text"] for choice in answer["choices"]])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert texts[0] == texts[1] and texts[0][0] != texts[0][1]


def test_options_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANTACODER_PORT", "9001")
    monkeypatch.setenv("SANTACODER_HOST", "0.0.0.0")
    settings = parse_settings(["--port", "9002"])
    assert (settings.host, settings.port, settings.runner) == ("0.0.0.0", 9002, "auto")
