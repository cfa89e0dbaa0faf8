"""Options of the server: each has a flag with a help text and a variable, except secrets, which have only a
variable.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import Options, Settings, parse_settings

FLAGS = {name: f"--{name.replace('_', '-')}" for name in Options.model_fields}
SECRETS = sorted(set(Settings.model_fields) - set(Options.model_fields))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SANTACODER_{name.upper()}", raising=False)


def test_the_help_has_every_option_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(["--help"])
    told = re.sub(r"\s+", "", capsys.readouterr().out)
    assert ended.value.code == 0
    for name, field in Options.model_fields.items():
        assert FLAGS[name] in told
        assert field.description and re.sub(r"\s+", "", field.description) in told
    assert "(default:)" not in told and all(f"SANTACODER_{name.upper()}" in told for name in SECRETS)


@pytest.mark.parametrize("name", Options.model_fields)
def test_the_command_line_goes_before_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = str(Options.model_fields[name].annotation)
    if "bool" in kind:
        given = [(["--no-" + FLAGS[name][2:]], False), ([FLAGS[name]], True)]
        monkeypatch.setenv(f"SANTACODER_{name.upper()}", "true")
    elif "Literal" in kind:
        chosen = re.findall(r"'(\w+)'", kind)
        given = [([FLAGS[name], chosen[-1]], chosen[-1])]
        monkeypatch.setenv(f"SANTACODER_{name.upper()}", chosen[0])
    else:
        value = (
            "/folder"
            if "Path" in kind or name == "root_path"
            else "2000"
            if "int" in kind or "float" in kind
            else "main=1,fim=1"
            if name == "split"
            else "text"
        )
        expected = Path(value) if "Path" in kind else float(value) if value == "2000" else value
        given = [([FLAGS[name], value], expected)]
        monkeypatch.setenv(f"SANTACODER_{name.upper()}", "3000")
    for arguments, expected in given:
        assert getattr(parse_settings(arguments), name) == expected


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_no_options(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_settings([f"--{name.replace('_', '-')}", "a:b"])
    assert "unrecognized arguments" in capsys.readouterr().err
    monkeypatch.setenv(f"SANTACODER_{name.upper()}", "a:b")
    assert getattr(parse_settings([]), name) == "a:b"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "x"], "--port: Input should be a valid integer"),
        (["--runner", "cuda"], "--runner: Input should be 'auto', 'torch' or 'onnx'"),
        (["--seed", "-1"], "--seed: Input should be greater than or equal to 0"),
        (["--port", "99999"], "--port: Input should be less than or equal to 65535"),
        (["--max-seconds", "inf"], "--max-seconds: Input should be a finite number"),
        (["--model-memory", "nan"], "--model-memory: Input should be a finite number"),
        (["--drain-seconds", "inf"], "--drain-seconds: Input should be a finite number"),
        (["--port"], "argument --port: expected one argument"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_what_cannot_be_is_a_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(arguments)
    assert ended.value.code == 2 and f"error: {sentence}" in capsys.readouterr().err


def test_none_is_said_for_what_has_no_value() -> None:
    assert parse_settings(["--seed", "none", "--attribution", "none"]).seed is None


@pytest.mark.parametrize("value", ["none", ""])
@pytest.mark.parametrize("name", ["seed", "attribution", "allow_downloads"])
def test_the_environment_says_none_like_the_command_line(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SANTACODER_{name.upper()}", value)
    assert getattr(parse_settings([]), name) is None


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_sets_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(parse_settings([]), name)
    monkeypatch.setenv(f"SANTACODER_{name.upper()}", "")
    given = getattr(parse_settings([]), name)
    assert given == default or (name == "training_token" and given)
