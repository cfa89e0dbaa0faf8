"""Settings of the server: command-line options, or the environment as ``SANTACODER_HOST`` and so on."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict

from santacoder.checkpoints import DEFAULT_STORE
from santacoder.errors import UserError
from santacoder.paths import command_name, user_path
from santacoder.sampling import MAX_SEED


class Options(BaseSettings):
    """Serve the SantaCoder playground.

    Every option can also be set in the environment, as SANTACODER_HOST, SANTACODER_PORT and so on; the command line
    goes before it. SANTACODER_API_KEYS, SANTACODER_LOGINS, SANTACODER_DATABASE_URL, SANTACODER_MODERATOR_KEY and
    SANTACODER_TRAINING_TOKEN are read from the environment alone, because other users can read command lines.
    """

    model_config = SettingsConfigDict(
        env_prefix="SANTACODER_",
        env_ignore_empty=True,  # SEED= in a file of variables sets nothing
        env_parse_none_str="none",  # as on the command line
        cli_kebab_case=True,
        cli_implicit_flags=True,  # --page and --no-page
        cli_hide_none_type=True,
    )

    host: str = Field("127.0.0.1", description="address to listen on, or several by commas")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on; 0 is any that is free")
    model: str = Field("santacoder/mini", description="model shown first")
    revision: str = Field("main", description="branch or commit shown first")
    runner: Literal["auto", "torch", "onnx"] = Field(
        "auto", description="what computes the model; auto is the fastest there is"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where; auto is a GPU if there is one")
    exact: bool = Field(
        True,
        description="a graph's text is the same to the last byte whatever else runs; without, a stream alone is faster",
    )
    page: bool = Field(True, description="show the page; without it, the API alone is served")
    slots: bool = Field(True, description="tell at /slots how busy the server is")
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="seed of requests that send none; none: a new one is drawn"
    )
    store: Path = Field(DEFAULT_STORE, description="folder of published models")
    model_memory: float = Field(
        8.0,
        ge=0,
        allow_inf_nan=False,
        description="gigabytes of memory for loaded models; unused ones are dropped beyond it",
    )
    runs: Path = Field(Path("runs"), description="folder of training jobs")
    allow_training: bool = Field(
        False,
        description="show the Train pane also where others can reach it; else only those at this machine can use it",
    )
    training_folders: str = Field(
        "", description="folders by commas: the Train pane reads nothing but what is in these folders"
    )
    allow_downloads: bool | None = Field(
        None,
        description="fetch bigcode/santacoder from the Hub when somebody chooses it; with neither, on loopback "
        "addresses only",
    )
    attribution: Path | None = Field(
        None,
        description="folder with an index of python -m train.data index, asked for every model; none: that of the "
        "model, in the store",
    )
    attribution_on_ray: bool = Field(False, description="ask the indexes on the Ray cluster that RAY_ADDRESS names")
    # limits; what is beyond is refused with 413, 429 or 503
    max_waiting: int = Field(256, ge=1, description="requests that wait for a model")
    max_request_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="size of a request")
    max_upload_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="size of an archive that is uploaded to the Train pane"
    )
    max_new_tokens: int = Field(
        16_384, ge=0, description="new tokens of a request, in all its texts; 0 is no limit, here and below"
    )
    max_seconds: float = Field(300, ge=0, allow_inf_nan=False, description="time a request may take")
    streams_per_client: int = Field(64, ge=0, description="requests of a client under way, by API key or by address")
    requests_per_minute: int = Field(0, ge=0, description="requests of a client within a minute")
    drain_seconds: float = Field(
        20, ge=0, allow_inf_nan=False, description="time that requests have to end after SIGTERM"
    )
    # what is around the server
    root_path: str = Field("", description="where a reverse proxy shows the server, as /coder")
    allowed_hosts: str = Field(
        "", description="names by commas that others reach the server by; requests to other names are refused"
    )
    proxies: int = Field(0, ge=0, description="reverse proxies in front, whose X-Forwarded-For is believed")
    cors_origins: str = Field("", description="web pages by commas that may use the API; * is all")
    log_level: Literal["debug", "info", "warning", "error"] = Field("warning", description="info logs each request")
    log_prompts: bool = Field(False, description="log what people send, too")


class Settings(Options):
    """The options, and what is read from the environment alone: command lines can be read by other users."""

    api_keys: str = ""
    logins: str = ""
    database_url: str = "sqlite:///shares/shares.db"
    moderator_key: str = ""
    training_token: str = Field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def addresses(self) -> list[str]:
        """Where the server listens; as ``127.0.0.1,::1`` for what is called localhost."""
        return _parts(self.host) or [self.host]

    @property
    def keys(self) -> list[str]:
        """API keys, from ``SANTACODER_API_KEYS``, separated by commas."""
        return _parts(self.api_keys)

    @property
    def users(self) -> list[tuple[str, str]]:
        """Who may open the page, by name and password, from ``SANTACODER_LOGINS=NAME:PASSWORD,…``."""
        return [(name, password) for name, _, password in (login.partition(":") for login in _parts(self.logins))]

    @property
    def origins(self) -> list[str]:
        """Web pages of other origins that may use the API."""
        return _parts(self.cors_origins)

    @field_validator("logins")
    @classmethod
    def _check_logins(cls, logins: str) -> str:
        if not all(0 < login.find(":") < len(login) - 1 for login in _parts(logins)):
            raise UserError("each login is NAME:PASSWORD, several are separated by commas")
        return logins

    @field_validator("store", "runs", "attribution")
    @classmethod
    def _expand_home(cls, path: Path | None) -> Path | None:
        return None if path is None else user_path(path)

    @field_validator("database_url")
    @classmethod
    def _expand_home_in_url(cls, url: str) -> str:
        kind, separator, path = url.partition(":///")
        return f"{kind}{separator}{user_path(path)}" if separator and path.startswith("~") else url

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        return f"/{stripped}" if (stripped := path.strip("/")) else ""

    @property
    def hosts(self) -> list[str]:
        """Names the server is reached by, beyond its address and those of loopback; a Space tells its own."""
        return _parts(self.allowed_hosts) + _parts(os.environ.get("SPACE_HOST", ""))

    @property
    def folders_to_train_on(self) -> list[Path]:
        """All that the Train pane may read; where there are none, whoever is at the machine may name any folder."""
        return [user_path(part).resolve() for part in _parts(self.training_folders)]

    @property
    def is_for_this_machine(self) -> bool:
        """Whether only those who sit at the machine reach the server, as far as its settings tell."""
        are_loopback = all(host in ("localhost", "::1") or host.startswith("127.") for host in self.addresses)
        return are_loopback and not (self.hosts or self.proxies or self.root_path)

    @property
    def wants_training_token(self) -> bool:
        """Whether those at the machine show that they are by opening the address that the server printed."""
        return self.page and self.is_for_this_machine

    @property
    def training_is_allowed(self) -> bool:
        """Whoever trains can read folders and use the machine: by default only those who sit at it."""
        return self.allow_training or self.is_for_this_machine

    @property
    def downloads_are_allowed(self) -> bool:
        """Whether a client may have a published model fetched from the Hub."""
        return self.is_for_this_machine if self.allow_downloads is None else self.allow_downloads


def parse_settings(arguments: list[str] | None = None) -> Settings:
    """Settings from the command line and the environment."""
    line = CliSettingsSource[Any](
        Options,
        cli_prog_name=command_name("serve", "python app.py"),
        cli_parse_args=True if arguments is None else arguments,
        cli_parse_none_str="none",
        formatter_class=_Help,
    )
    try:
        return Settings(_cli_settings_source=line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        option = f"--{name.replace('_', '-')}" if name in line() else f"SANTACODER_{name.upper()}"
        parser: argparse.ArgumentParser = line.root_parser
        parser.error(f"{option}: {first['msg'].removeprefix('Value error, ')}")


class _Help(argparse.HelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str:
        return (action.help or "").replace(" (default: )", "")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
