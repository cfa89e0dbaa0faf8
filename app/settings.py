"""The server's settings, from command-line options or environment variables such as ``SANTACODER_HOST``."""

from __future__ import annotations

import argparse
import os
import re
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict

from app.split import parse_split
from santacoder.checkpoints import DEFAULT_STORE
from santacoder.checkpoints.graph_cache import MAX_BYTES, default_folder
from santacoder.errors import UserError
from santacoder.paths import command_name, user_path
from santacoder.sampling import MAX_SEED


class Options(BaseSettings):
    """Serve the SantaCoder playground.

    Every option can also be set in the environment, as SANTACODER_HOST, SANTACODER_PORT and so on; the command line
    takes precedence. SANTACODER_API_KEYS, SANTACODER_LOGINS, SANTACODER_DATABASE_URL, SANTACODER_MODERATOR_KEY and
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

    host: str = Field("127.0.0.1", description="address to listen on; separate several with commas")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on; 0 chooses a free one")
    model: str = Field("santacoder/mini", description="default model")
    revision: str = Field("main", description="default branch or commit")
    split: str = Field(
        "",
        description="branches of the default model to compare by use, with weights, such as main=50,fim=50: each API "
        "client that names no revision gets one of them, always the same",
    )
    runner: Literal["auto", "torch", "onnx"] = Field(
        "auto",
        description="what computes the model: PyTorch (torch) or a graph (onnx); auto takes the fastest available",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto uses a GPU if available")
    exact: bool = Field(
        True,
        description="make texts independent of other requests to the last byte, at the cost of up to a fifth of the "
        "speed (docs/serving.md)",
    )
    page: bool = Field(True, description="serve the page; --no-page serves only the API")
    slots: bool = Field(True, description="report the server's load at /slots")
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="seed of requests without one; by default each gets a random seed"
    )
    store: Path = Field(DEFAULT_STORE, description="folder of published models")
    model_memory: float = Field(
        8.0,
        ge=0,
        allow_inf_nan=False,
        description="memory for loaded models in GB; beyond it, unused models are unloaded",
    )
    adapters: str = Field(
        "",
        description="LoRA adapters that the page and the API may add to a revision, as REVISION+NAME: folders or "
        "repositories of the Hub, separated by commas",
    )
    idle_unload: float = Field(
        0, ge=0, allow_inf_nan=False, description="unload models that nobody has used for so many minutes; 0 never does"
    )
    graphs: Path = Field(
        default_factory=default_folder,
        description="folder of the graphs that are written for models of the Hub; by default in the user's cache",
    )
    graph_space: float = Field(
        MAX_BYTES / 1e9,
        ge=0,
        allow_inf_nan=False,
        description="disk space for these graphs in GB; those used longest ago are dropped, and 0 writes none",
    )
    browser_site: Path | None = Field(
        None,
        description="folder of python -m export.site, whose models can run in the visitor's browser, at /browser/",
    )
    project: Path | None = Field(
        None,
        description="folder of your code: the server adds related code from it to fill-in-the-middle requests. Whoever "
        "may use the API can learn of its contents",
    )
    runs: Path = Field(Path("runs"), description="folder of training jobs")
    allow_training: bool = Field(
        False,
        description="make the Train pane available to everyone; by default it is limited to users at this machine",
    )
    training_folders: str = Field("", description="folders that the Train pane may read, separated by commas")
    allow_downloads: bool | None = Field(
        None,
        description="download bigcode/santacoder from the Hub when a user selects it; by default only on loopback "
        "addresses",
    )
    attribution: Path | None = Field(
        None,
        description="folder of an attribution index (python -m train.data index) to use for every model; by default "
        "each model uses its own from the store",
    )
    attribution_on_ray: bool = Field(
        False, description="query the attribution indexes on the Ray cluster at RAY_ADDRESS"
    )
    # limits; requests beyond them are refused with 413, 429 or 503
    max_waiting: int = Field(256, ge=1, description="maximum number of queued requests")
    max_request_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="maximum size of a request in bytes")
    max_upload_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="maximum size of an archive uploaded to the Train pane, in bytes"
    )
    max_new_tokens: int = Field(
        16_384,
        ge=0,
        description="maximum number of new tokens of a request, over all its texts; 0, here and below, is no limit",
    )
    max_seconds: float = Field(300, ge=0, allow_inf_nan=False, description="maximum duration of a request in seconds")
    streams_per_client: int = Field(
        64, ge=0, description="maximum number of concurrent requests per client (API key or address)"
    )
    requests_per_minute: int = Field(0, ge=0, description="maximum number of requests per client and minute")
    drain_seconds: float = Field(
        20, ge=0, allow_inf_nan=False, description="seconds that running requests get to finish after SIGTERM"
    )
    # the server's surroundings
    root_path: str = Field("", description="path under which a reverse proxy exposes the server, such as /coder")
    allowed_hosts: str = Field(
        "", description="additional host names of the server, separated by commas; requests to other hosts are refused"
    )
    proxies: int = Field(0, ge=0, description="number of trusted reverse proxies that set X-Forwarded-For")
    cors_origins: str = Field(
        "", description="origins that may use the API from a browser, separated by commas; * allows all"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="info also logs each request"
    )
    log_prompts: bool = Field(False, description="also log prompts")


class Settings(Options):
    """The options, and secrets, which are read only from the environment: other users can read command lines."""

    api_keys: str = ""
    logins: str = ""
    database_url: str = "sqlite:///shares/shares.db"
    moderator_key: str = ""
    training_token: str = Field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def addresses(self) -> list[str]:
        """The addresses to listen on, for example ``127.0.0.1,::1``."""
        return _parts(self.host) or [self.host]

    @property
    def keys(self) -> list[str]:
        """API keys, from ``SANTACODER_API_KEYS``, separated by commas."""
        return _parts(self.api_keys)

    @property
    def users(self) -> list[tuple[str, str]]:
        """Names and passwords for the page, from ``SANTACODER_LOGINS=NAME:PASSWORD,…``."""
        return [(name, password) for name, _, password in (login.partition(":") for login in _parts(self.logins))]

    @property
    def adapters_by_name(self) -> dict[str, str]:
        """The folders and repositories in ``--adapters``, by the last part of their names."""
        return {_adapter_name(part): part for part in _parts(self.adapters)}

    @property
    def origins(self) -> list[str]:
        """Origins that may use the API from a browser."""
        return _parts(self.cors_origins)

    @cached_property
    def branches_of_split(self) -> dict[str, float]:
        """The weights of the branches in ``--split``; empty without."""
        return parse_split(self.split)

    @field_validator("adapters")
    @classmethod
    def _check_adapters(cls, adapters: str) -> str:
        names = [_adapter_name(part) for part in _parts(adapters)]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"two adapters are named {name!r}; rename the folder of one")
        return adapters

    @field_validator("split")
    @classmethod
    def _check_split(cls, split: str) -> str:
        parse_split(split)
        return split

    @field_validator("logins")
    @classmethod
    def _check_logins(cls, logins: str) -> str:
        if not all(0 < login.find(":") < len(login) - 1 for login in _parts(logins)):
            raise UserError("each login must be NAME:PASSWORD; separate several with commas")
        return logins

    @field_validator("store", "runs", "attribution", "graphs", "browser_site", "project")
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
        """Host names beyond the server's address and the loopback names, including the host of a Space."""
        return _parts(self.allowed_hosts) + _parts(os.environ.get("SPACE_HOST", ""))

    @property
    def folders_to_train_on(self) -> list[Path]:
        """Folders that the Train pane may read. If empty, a user at the machine may name any folder."""
        return [user_path(part).resolve() for part in _parts(self.training_folders)]

    @property
    def is_for_this_machine(self) -> bool:
        """Whether, according to the settings, the server can be reached only from this machine."""
        are_loopback = all(host in ("localhost", "::1") or host.startswith("127.") for host in self.addresses)
        return are_loopback and not (self.hosts or self.proxies or self.root_path)

    @property
    def wants_training_token(self) -> bool:
        """Whether users at the machine authenticate by opening the printed address, which has a token."""
        return self.page and self.is_for_this_machine

    @property
    def training_is_allowed(self) -> bool:
        """Whether the Train pane exists. Training reads folders, so by default only users at the machine may train."""
        return self.allow_training or self.is_for_this_machine

    @property
    def downloads_are_allowed(self) -> bool:
        """Whether clients may cause a published model to be downloaded from the Hub."""
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
        return re.sub(r" \(default: \)|\(default factory: .*?\)", "", action.help or "")


def _adapter_name(source: str) -> str:
    """What an adapter is called: the last part of its folder or repository."""
    return source.rstrip("/").rpartition("/")[2].partition("@")[0]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
