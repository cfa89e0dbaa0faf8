"""A Space of the Gradio kind: what it installs, what its variables mean, and that the checkout starts there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from app.space import adopt_environment
from tests.app.test_container import image
from tests.conftest import REPOSITORY

SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "owner/name",
    "SPACE_HOST": "owner-name.hf.space",
    "GRADIO_SERVER_NAME": "127.0.0.1",
    "GRADIO_SERVER_PORT": "0",
    "GRADIO_NUM_PORTS": "1",
}
NO_HOME = "/dev/null/home"  # not even root can write there


def space_environment(folder: Path) -> dict[str, str]:
    """The variables of a Space whose temporary folder is ``folder``, and nothing that the tests set."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    return {**inherited, **SPACE, "HOME": NO_HOME, "TMPDIR": str(folder)}


def test_the_heading_of_the_readme_is_that_of_a_gradio_space() -> None:
    _, heading, _ = (REPOSITORY / "README.md").read_text().split("---\n", 2)
    space = yaml.safe_load(heading)
    pinned = re.search(r'"gradio==(.*?)"', (REPOSITORY / "pyproject.toml").read_text())
    assert pinned and space["sdk"] == "gradio" and space["sdk_version"] == pinned[1]
    assert (REPOSITORY / space["app_file"]).is_file() and space["python_version"] in ("3.10", "3.11", "3.12", "3.13")


def test_the_requirements_are_those_of_the_lock_file() -> None:
    locked = re.findall(r"^([a-z].*?) \\$", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    _, torch, *others = (REPOSITORY / "requirements.txt").read_text().splitlines()
    assert others == locked
    assert f'"{torch}"' in (REPOSITORY / "pyproject.toml").read_text() and torch.startswith("torch==")


def test_a_variable_of_gradio_or_of_a_space_sets_only_what_is_not_set(tmp_path: Path) -> None:
    given = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "7861"}
    adopt_environment(environment := dict(given))
    assert environment == {**given, "SANTACODER_HOST": "0.0.0.0", "SANTACODER_PORT": "7861"}
    adopt_environment(environment := {**given, "SANTACODER_HOST": "::1", "SANTACODER_PORT": ""})
    assert (environment["SANTACODER_HOST"], environment["SANTACODER_PORT"]) == ("::1", "7861")
    adopt_environment(environment := {**SPACE, "HF_HOME": "/mine"}, tmp_path)
    assert environment["SANTACODER_DATABASE_URL"] == f"sqlite:///{tmp_path}/shares/shares.db"
    assert (environment["SANTACODER_PROXIES"], environment["HF_HOME"]) == ("1", "/mine")
    adopt_environment(environment := dict(SPACE), tmp_path / "absent")
    assert str(tmp_path / "absent") not in str(environment)


def serve_and_use(python: str, folder: Path) -> None:
    """Start the checkout as a Space does, complete code, save a share, and come as two visitors."""
    checkout, scratch = folder / "app", folder / "tmp"
    checkout.mkdir()
    scratch.mkdir()
    image(checkout)
    environment = {**space_environment(scratch), "SANTACODER_REQUESTS_PER_MINUTE": "2"}
    with subprocess.Popen(
        [python, "app.py"], cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[2].partition("/?")[0]
            with httpx.Client(base_url=url, timeout=120, headers={"Host": SPACE["SPACE_HOST"]}) as client:

                def complete(visitor: str) -> int:
                    sent = {"X-Forwarded-For": f"203.0.113.9, {visitor}", "X-Forwarded-Proto": "https"}
                    body = {"prompt": "def area(", "max_tokens": 4}
                    return client.post("/v1/completions", json=body, headers=sent).status_code

                assert client.get("/health").json() == {"status": "ok"}
                assert [complete("192.0.2.1") for _ in range(3)] == [200, 200, 429]
                assert complete("192.0.2.2") == 200
                page = client.get("/", headers={"X-Forwarded-For": "192.0.2.3", "X-Forwarded-Proto": "https"})
                assert page.status_code == 200 and "Start training" not in page.text
                answer = client.post("/v1/completions", json={"model": "bigcode/santacoder", "prompt": "x"})
                assert answer.status_code == 404
        finally:
            server.terminate()
    written = {path.name for path in checkout.iterdir() if not path.is_symlink()} - {"__pycache__"}
    assert not written, "only the folder of the Space's data is written to"
    assert (scratch / "santacoder" / "shares" / "shares.db").is_file() or Path("/data/shares/shares.db").is_file()


@pytest.mark.slow
def test_the_checkout_starts_in_a_space_without_a_home(tmp_path: Path) -> None:
    serve_and_use(sys.executable, tmp_path)


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_the_requirements_alone_are_enough(version: str, tmp_path: Path) -> None:
    """In a fresh environment of each supported Python that is at hand."""
    interpreter = shutil.which(f"python{version}")
    if interpreter is None or subprocess.run([interpreter, "-c", ""], check=False).returncode:
        pytest.skip(f"there is no python{version}")
    subprocess.run([interpreter, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"]
    subprocess.run(install, cwd=REPOSITORY, check=True)
    serve_and_use(python, tmp_path)
