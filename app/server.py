"""The server: the page on a port of its own, from start-up checks to a clean stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import gradio as gr
import uvicorn
from fastapi import FastAPI

from app.api.routes import add_routes
from app.api.running import Server
from app.attribution import Indexes
from app.models import Models
from app.settings import Settings, parse_settings
from app.ui.playground import HEAD, STYLE, THEME, build_playground
from santacoder.checkpoints import CheckpointError
from santacoder.errors import AttributionError

_SECONDS_TO_FINISH = 5


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped. Exit code 0 after a stop, 1 where the server could not start."""
    settings = parse_settings(arguments)
    # SIGTERM is how services are stopped, so it is no failure; uvicorn raises it once more after its own clean stop
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        listener = _listen(settings.host, settings.port)
        models = Models(settings)
        models.acquire(settings.model, settings.revision).release()
        indexes = Indexes(settings)
    except (OSError, CheckpointError, AttributionError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"SantaCoder playground: http://{settings.host}:{listener.getsockname()[1]}  (Ctrl-C stops it)", flush=True)
    _serve(create_app(settings, models, indexes), listener)
    return 0


def create_app(settings: Settings, models: Models, indexes: Indexes) -> FastAPI:
    """The ASGI application; it owns ``models`` and closes them when it stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        models.close()

    app = FastAPI(title="SantaCoder", lifespan=lifespan)
    add_routes(app, Server(settings, models, indexes))
    return gr.mount_gradio_app(
        app,
        build_playground(settings, models),
        path="/",
        theme=THEME,
        css=STYLE,
        head=HEAD,
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        show_error=True,
    )


def _serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM, then let those under way finish for a few seconds."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_SECONDS_TO_FINISH)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use shows before a model is loaded.

    Raises:
        OSError: the address cannot be used; the message is a sentence for the user.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # a restart need not wait for old connections to time out
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        raise OSError(
            f"Cannot listen on {host}:{port} ({error}). Choose another port with --port, or stop what is using it."
        ) from error
    return listener
