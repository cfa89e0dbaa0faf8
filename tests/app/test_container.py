"""The recipes of the container and the Space: the files they name exist, and the image can start."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from app.settings import Settings, parse_settings
from tests.conftest import REPOSITORY

LINES = (REPOSITORY / "Dockerfile").read_text().splitlines()
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def instructions(name: str) -> list[list[str]]:
    """The words of all instructions with that name."""
    return [shlex.split(line)[1:] for line in LINES if line.startswith(f"{name} ")]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for words in instructions("ENV") for word in words)


def image(folder: Path) -> None:
    """The contents of the image after ``COPY . .``, as links."""
    ignored = set((REPOSITORY / ".dockerignore").read_text().split())
    for path in REPOSITORY.iterdir():
        if path.name not in ignored and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)


def test_the_dockerfile_names_what_is_there() -> None:
    ignored = set((REPOSITORY / ".dockerignore").read_text().split())
    for words in instructions("COPY"):
        *sources, _ = [word for word in words if not word.startswith("--")]
        for source in sources:
            assert (REPOSITORY / source).exists() and source not in ignored
    (folder,) = [words[0] for words in instructions("WORKDIR")]
    made = next(line for line in LINES if line.startswith("RUN useradd"))
    assert f"install -d -o santacoder {folder}" in made, "shares/ and runs/ are made there by the user of the image"
    assert instructions("EXPOSE") == [[str(Settings.model_fields["port"].default)]]


@pytest.mark.slow
def test_what_the_image_holds_starts(tmp_path: Path) -> None:
    image(tmp_path)
    command = re.findall(r'"(.*?)"', next(line for line in LINES if line.startswith("CMD")))
    assert command == ["python", "app.py"]
    given = {**os.environ, **environment(), "SANTACODER_HOST": "127.0.0.1", "SANTACODER_PORT": "0"}
    given.pop("SANTACODER_DATABASE_URL", None)
    with subprocess.Popen(
        [sys.executable, *command[1:]], cwd=tmp_path, env=given, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[2].partition("/?")[0]
            assert httpx.get(f"{url}/health", timeout=60).json() == {"status": "ok"}
            body = {"prompt": "def area(", "max_tokens": 4}
            assert httpx.post(f"{url}/v1/completions", json=body, timeout=60).status_code == 200
        finally:
            server.terminate()
    assert (tmp_path / "shares" / "shares.db").is_file()


def test_a_space_is_described_as_the_hub_wants_it() -> None:
    _, heading, _ = (REPOSITORY / "docs" / "space.md").read_text().split("---\n", 2)
    space = yaml.safe_load(heading)
    assert space["sdk"] == "docker" and space["app_port"] == parse_settings([]).port
    assert {space["colorFrom"], space["colorTo"]} <= COLOURS
    assert len(space["emoji"]) == 1 and space["license"] == "apache-2.0" and space["title"]
