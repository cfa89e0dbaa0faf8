"""Settings of the server: command-line options, or the environment as ``SANTACODER_HOST`` and so on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from santacoder.checkpoints import DEFAULT_STORE


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
    model_memory: float = 8.0
    runs: Path = Path("runs")
    allow_training: bool = False
    attribution: Path | None = None
    attribution_on_ray: bool = False
    api_keys: str = ""  # in the environment alone: command lines can be read by other users

    @property
    def keys(self) -> list[str]:
        """API keys, from ``SANTACODER_API_KEYS``, separated by commas."""
        return [key.strip() for key in self.api_keys.split(",") if key.strip()]

    @property
    def training_is_allowed(self) -> bool:
        """Whoever trains can read folders and use the machine: by default only those who sit at it."""
        return self.allow_training or self.host in ("localhost", "::1") or self.host.startswith("127.")


def parse_settings(arguments: list[str] | None = None) -> Settings:
    """Settings from the command line and the environment."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Serve the SantaCoder playground. Every option can also be set in the environment, "
        "as SANTACODER_HOST, SANTACODER_PORT and so on.",
        argument_default=argparse.SUPPRESS,
    )
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    parser.add_argument("--host", help=f"address to listen on (default: {defaults['host']})")
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
        help="show the Train pane also where others can reach it (by default only on a loopback address)",
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
    return Settings(**vars(parser.parse_args(arguments)))
