"""Paths as users enter them: invalid ones are reported in a sentence by every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import parse_settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.errors import UserError
from santacoder.paths import user_path
from train.arguments import build_parser

LONG = "x" * 5_000


@pytest.mark.parametrize("text", [LONG, f"a/{'é' * 128}", "a/" * 2_500, "~" + LONG, "a\0b", "\ud800"])
def test_what_no_file_can_be_called_is_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="is too long: a path|cannot be a path") as raised:
        user_path(text)
    assert len(str(raised.value)) < 300


def test_what_a_file_can_be_called_is_kept() -> None:
    for text in ("x" * 255, "é" * 127, "/".join(["a" * 200] * 20), ".", "", "a b"):
        assert user_path(text) == Path(text)


@pytest.mark.parametrize(
    "parse",
    [
        lambda: build_parser("").parse_args(["--output", LONG]),
        lambda: build_parser("").parse_args(["--output", "x", "--folder", LONG]),
        lambda: build_parser("").parse_args(["--output", "x", "--archive", LONG]),
        lambda: build_parser("").parse_args(["--output", "x", "--store", LONG]),
        lambda: parse_settings(["--store", LONG]),
        lambda: parse_settings(["--runs", LONG]),
    ],
)
def test_command_lines_say_it(parse: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse()
    printed = capsys.readouterr().err
    assert "is too long: a path" in printed and "Errno" not in printed


def test_names_of_models_and_branches_are_as_long_as_on_the_hub(tmp_path: Path) -> None:
    for repo_id, revision in ((f"mine/{LONG}", "main"), (f"{LONG}/x", "main"), ("mine/x", LONG)):
        with pytest.raises(CheckpointError, match="is not a model name|has no|neither a branch") as raised:
            checkpoints.resolve(repo_id, revision, store=tmp_path, download=False)
        assert len(str(raised.value)) < 600
