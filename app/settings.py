"""Settings of the server: command-line options, or the environment as ``SANTACODER_HOST`` and so on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from santacoder.checkpoints import DEFAULT_STORE
from santacoder.errors import UserError
from santacoder.paths import user_path
from santacoder.sampling import MAX_SEED


class Settings(BaseSettings):
    """Options of ``python app.py``. An option on the command line goes before the environment."""

    model_config = SettingsConfigDict(env_prefix="SANTACODER_")

    host: str = "127.0.0.1"
    port: int = 7860
    model: str = "santacoder/mini"
    revision: str = "main"
    runner: Literal["auto", "torch", "onnx"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    store: Path = DEFAULT_STORE
    page: bool = True
    slots: bool = True
    exact: bool = True
    seed: Annotated[int | None, Field(ge=0, le=MAX_SEED)] = None
    model_memory: float = 8.0
    runs: Path = Path("runs")
    allow_training: bool = False
    training_folders: str = ""
    allow_downloads: bool | None = None
    attribution: Path | None = None
    attribution_on_ray: bool = False
    # limits; 0 is none
    max_waiting: Annotated[int, Field(ge=1)] = 256
    max_request_bytes: Annotated[int, Field(ge=1024)] = 4 * 1024 * 1024
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    max_new_tokens: Annotated[int, Field(ge=0)] = 16_384
    max_seconds: Annotated[float, Field(ge=0)] = 300
    streams_per_client: Annotated[int, Field(ge=0)] = 64
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    drain_seconds: Annotated[float, Field(ge=0)] = 20
    # what is around the server
    root_path: str = ""
    allowed_hosts: str = ""
    proxies: Annotated[int, Field(ge=0)] = 0
    cors_origins: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    log_prompts: bool = False
    # in the environment alone: command lines can be read by other users
    api_keys: str = ""
    logins: str = ""
    database_url: str = "sqlite:///shares/shares.db"
    moderator_key: str = ""

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
    def training_is_allowed(self) -> bool:
        """Whoever trains can read folders and use the machine: by default only those who sit at it."""
        return self.allow_training or self.is_for_this_machine

    @property
    def downloads_are_allowed(self) -> bool:
        """Whether a client may have a published model fetched from the Hub."""
        return self.is_for_this_machine if self.allow_downloads is None else self.allow_downloads


def parse_settings(arguments: list[str] | None = None) -> Settings:
    """Settings from the command line and the environment."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Serve the SantaCoder playground. Every option can also be set in the environment, "
        "as SANTACODER_HOST, SANTACODER_PORT and so on.",
        argument_default=argparse.SUPPRESS,
    )
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    parser.add_argument("--host", help=f"address to listen on, or several by commas (default: {defaults['host']})")
    parser.add_argument("--port", type=int, help=f"port to listen on (default: {defaults['port']})")
    parser.add_argument("--model", help=f"model shown first (default: {defaults['model']})")
    parser.add_argument("--revision", help=f"branch or commit shown first (default: {defaults['revision']})")
    parser.add_argument(
        "--runner",
        choices=["auto", "torch", "onnx"],
        help="what computes the model (default: auto, the fastest there is)",
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], help="where (default: auto, a GPU if there is one)"
    )
    parser.add_argument(
        "--exact",
        action=argparse.BooleanOptionalAction,
        help="a graph's text is the same to the last byte whatever else runs (default), or a stream alone is faster",
    )
    parser.add_argument(
        "--page", action=argparse.BooleanOptionalAction, help="show the page (default), or serve the API alone"
    )
    parser.add_argument(
        "--slots", action=argparse.BooleanOptionalAction, help="tell at /slots how busy the server is (default), or not"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of requests that send none (default: drawn)")
    parser.add_argument("--store", type=Path, help="folder of published models (default: checkpoints/)")
    parser.add_argument(
        "--model-memory",
        type=float,
        metavar="GB",
        help=f"memory for loaded models; unused ones are dropped beyond it (default: {defaults['model_memory']:.0f})",
    )
    parser.add_argument("--runs", type=Path, help="folder of training jobs (default: runs/)")
    parser.add_argument(
        "--allow-training",
        action="store_true",
        help="show the Train pane also where others can reach it (by default only those at this machine can use it)",
    )
    parser.add_argument(
        "--training-folders", metavar="FOLDER,…", help="the Train pane reads nothing but what is in these folders"
    )
    parser.add_argument(
        "--allow-downloads",
        action=argparse.BooleanOptionalAction,
        help="fetch bigcode/santacoder from the Hub when somebody chooses it (default: on a loopback address only)",
    )
    parser.add_argument(
        "--attribution",
        type=Path,
        metavar="FOLDER",
        help="index of python -m train.data index, asked for every model (default: that of the model, in the store)",
    )
    parser.add_argument(
        "--attribution-on-ray", action="store_true", help="ask the indexes on the Ray cluster that RAY_ADDRESS names"
    )
    _add_limits(parser.add_argument_group("limits", "0 is none; what is beyond is refused with 413, 429 or 503"))
    _add_surroundings(parser.add_argument_group("what is around it"))
    chosen = vars(parser.parse_args(arguments))
    try:
        return Settings(**chosen)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        option = f"--{name.replace('_', '-')}" if name in chosen else f"SANTACODER_{name.upper()}"
        parser.error(f"{option}: {first['msg'].removeprefix('Value error, ')}")


def _add_limits(group: argparse._ArgumentGroup) -> None:
    for name, kind, metavar, text in [
        ("max-waiting", int, "N", "requests that wait for a model"),
        ("max-request-bytes", int, "N", "size of a request"),
        ("max-upload-bytes", int, "N", "size of an archive that is uploaded to the Train pane"),
        ("max-new-tokens", int, "N", "new tokens of a request, in all its texts"),
        ("max-seconds", float, "S", "time a request may take"),
        ("streams-per-client", int, "N", "requests of a client under way, by API key or by address"),
        ("requests-per-minute", int, "N", "requests of a client within a minute"),
        ("drain-seconds", float, "S", "time that requests have to end after SIGTERM"),
    ]:
        default = Settings.model_fields[name.replace("-", "_")].default
        group.add_argument(f"--{name}", type=kind, metavar=metavar, help=f"{text} (default: {default:g})")


def _add_surroundings(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--root-path", metavar="PATH", help="where a reverse proxy shows the server, as /coder")
    group.add_argument(
        "--allowed-hosts",
        metavar="NAME,…",
        help="names others reach the server by; requests to other names are refused",
    )
    group.add_argument(
        "--proxies",
        type=int,
        metavar="N",
        help="reverse proxies in front, whose X-Forwarded-For is believed (default: 0)",
    )
    group.add_argument("--cors-origins", metavar="ORIGIN,…", help="web pages that may use the API; * is all")
    group.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], help="info logs each request (default: warning)"
    )
    group.add_argument("--log-prompts", action="store_true", help="log what people send, too")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
