"""The server: start-up checks, the ASGI application, and shutdown."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool

from app.api.mcp import mcp_routes, mcp_server
from app.api.openai_errors import error_body as openai_error
from app.api.routes import HEALTH_PATHS, add_routes
from app.api.start import MAX_TEXTS
from app.api.unknown import unknown_paths
from app.attribution_indexes import Indexes
from app.browser_site import browser_site, require_site
from app.connections import ACCEPTED_AT_ONCE, BACKLOG, BoundedConnection, Places, ReadingTurns, most_connections
from app.context import Server
from app.errors import ShareError
from app.limits import Limits, RateLimits
from app.memory import give_back, give_back_regularly
from app.middleware.body_timeout import BodyTimeout
from app.middleware.client_address import ClientAddress
from app.middleware.compression import CompressedPages
from app.middleware.guess_limits import GuessLimits
from app.middleware.host_and_origin import HostAndOrigin
from app.middleware.request_bodies import RequestBodies
from app.middleware.request_log import Requests
from app.middleware.request_turns import RequestTurns
from app.middleware.security_headers import SecurityHeaders
from app.middleware.training_token import TrainingToken, address_with_token
from app.middleware.uploads import UploadLimits, Uploads, is_upload
from app.middleware.value_limits import ValueLimits
from app.model_pool import Models
from app.observability.health import Health, disk_check
from app.observability.logs import set_up_logs
from app.observability.metrics import Metrics
from app.project.project_context import ProjectContext, require_project
from app.settings import Settings, parse_settings
from app.shares.curated.shipped import shipped_shares
from app.shares.database import Database
from app.shares.routes import add_share_routes
from app.shares.store import ShareStore
from app.shares.use_metrics import UseMetrics
from app.transfer import TerminalStages
from app.ui.assets import HEAD
from santacoder.checkpoints import CheckpointError
from santacoder.errors import AttributionError, UserError

_SECONDS_TO_FINISH = 5
_SECONDS_BETWEEN_UNLOADS = 15
_SWITCH_INTERVAL = 0.001  # seconds
_LEAST_WAITING = 64
"""The lower bound for the limit on a client's waiting requests, which otherwise is its limit of streams."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped. Returns 0 after a stop, 1 if the server could not start."""
    settings = parse_settings(arguments)
    if settings.page:  # Gradio takes half a second and 35 MB, which an API alone does without
        import_module("app.served_page")
    gc.freeze()  # what was imported stays, so the collection before the first request need not visit it
    set_up_logs(settings.log_level)
    # services are stopped with SIGTERM, so it is not an error; uvicorn raises it again after its own clean shutdown
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        require_site(settings.browser_site)
        require_project(settings.project)
        listeners = _listen(settings.addresses, settings.port)
        shares = ShareStore(Database(settings.database_url))
        metrics = Metrics()
        models = Models(settings, metrics)
        stages = TerminalStages(f"{settings.model}@{settings.revision}")
        models.acquire(settings.model, settings.revision, stages.report).release()
        for branch in settings.branches_of_split:
            models.acquire(settings.model, branch, stages.report).release()
        stages.end()
        shares.add_shipped(shipped_shares(settings.store))
        indexes = Indexes(settings)
    except (OSError, UserError, ShareError, CheckpointError, AttributionError) as error:
        print(error, file=sys.stderr)
        return 1
    for address, listener in zip(settings.addresses, listeners, strict=True):
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{listener.getsockname()[1]}"
        shown = address_with_token(url, settings.training_token) if settings.wants_training_token else url
        print(f"SantaCoder playground: {shown}  (Ctrl-C stops it)", flush=True)
    if settings.users and not settings.keys:
        print("The page requires a login, but the API is open: protect it with SANTACODER_API_KEYS.", file=sys.stderr)
    if "FORWARDED_ALLOW_IPS" in os.environ:
        print("FORWARDED_ALLOW_IPS is ignored: set the number of trusted proxies with --proxies.", file=sys.stderr)
    _serve(create_app(settings, models, indexes, shares, metrics), models, settings, listeners)
    return 0


def create_app(settings: Settings, models: Models, indexes: Indexes, shares: ShareStore, metrics: Metrics) -> FastAPI:
    """The ASGI application; it owns ``models`` and ``shares`` and closes them when it stops."""

    checks = {"models": models.problem, "disk": disk_check(settings.store), "shares": shares.problem}
    rates = RateLimits()
    health = Health(checks, models.mend)
    project = ProjectContext(settings.project) if settings.project else None
    server = Server(settings, models, indexes, _limits(settings), health, shares.signals, rates, project)
    metrics.registry.register(UseMetrics(shares.signals))
    mcp = mcp_server(server)
    routes_of_mcp = mcp_routes(mcp, server)

    uploads = Uploads(settings.max_upload_bytes if settings.page and settings.training_is_allowed else 0)
    page = None
    if settings.page:
        from app.served_page import ServedPage

        page = ServedPage(server, shares, rates, uploads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work = [give_back_regularly()]
        if page is not None:
            work.append(page.sessions.free_regularly())
        if settings.idle_unload:
            work.append(_unload_regularly(models, settings.idle_unload))
        regularly = [asyncio.create_task(each) for each in work]
        if project is not None:
            project.index.start()
        async with mcp.session_manager.run():
            yield
        for task in regularly:
            task.cancel()
        if project is not None:
            project.index.end()
        server.health.close()
        models.close()
        shares.close()
        uploads.close()

    app = FastAPIOffline(title="SantaCoder", lifespan=lifespan, redoc_url=None)
    if settings.wants_training_token:
        app.add_middleware(TrainingToken, token=settings.training_token)
    if page is not None:
        page.add_middleware(app)
    app.add_middleware(UploadLimits, uploads=uploads)
    app.add_middleware(ValueLimits)
    app.add_middleware(
        RequestTurns,
        client_of=server.limits.client,
        most_waiting=max(_LEAST_WAITING, settings.streams_per_client) if settings.streams_per_client else 0,
        at_once=HEALTH_PATHS,
    )
    app.add_middleware(
        RequestBodies,
        most_bytes=lambda scope: settings.max_upload_bytes if is_upload(scope) else settings.max_request_bytes,
    )
    _add_middleware(app, settings, metrics)
    add_routes(app, server, metrics)
    app.router.routes += routes_of_mcp
    if page is None:
        app.include_router(unknown_paths("", openai_error))
        return app
    add_share_routes(app, shares, rates, settings.moderator_key)
    if settings.browser_site is not None:
        app.router.routes.append(browser_site(settings.browser_site))
    page.mount(app)
    return app


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Add the middleware for all requests, from the innermost to the outermost."""
    # added even if no origin is allowed: it replaces Gradio's own, which allows all origins
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )
    app.add_middleware(GuessLimits)
    widest = min(settings.addresses, key=lambda address: address not in ("0.0.0.0", "::"))
    names = [*settings.hosts, *settings.addresses]
    app.add_middleware(HostAndOrigin, host=widest, names=names, origins=settings.origins)
    app.add_middleware(SecurityHeaders, head=HEAD)
    app.add_middleware(CompressedPages)
    app.add_middleware(BodyTimeout)
    app.add_middleware(Requests, metrics=metrics)
    app.add_middleware(ClientAddress, proxies=settings.proxies)


async def _unload_regularly(models: Models, minutes: float) -> None:
    while True:
        await asyncio.sleep(min(_SECONDS_BETWEEN_UNLOADS, 60 * minutes))
        await run_in_threadpool(models.unload_idle, 60 * minutes)


def _limits(settings: Settings) -> Limits:
    return Limits(
        keys=settings.keys,
        requests_per_minute=settings.requests_per_minute,
        streams_per_client=settings.streams_per_client,
        texts_per_client=max(MAX_TEXTS, settings.max_waiting // 2) if settings.streams_per_client else 0,
        new_tokens=settings.max_new_tokens,
        seconds=settings.max_seconds,
    )


def _serve(app: FastAPI, models: Models, settings: Settings, listeners: list[socket.socket]) -> None:
    """Serve requests until SIGINT or SIGTERM; after SIGTERM, running requests may finish."""
    places = Places(most_connections())
    _prepare_interpreter()
    config = uvicorn.Config(
        app,
        log_config=None,
        root_path=settings.root_path,
        proxy_headers=False,  # ``--proxies`` is the number of trusted proxies
        http=partial(BoundedConnection, places, ReadingTurns()),  # type: ignore[arg-type]
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    with suppress(KeyboardInterrupt):
        DrainingServer(config, places, lambda: models.drain(settings.drain_seconds)).run(sockets=listeners)


def _prepare_interpreter() -> None:
    """Reduce how long other work in this process delays the event loop.

    A full garbage collection blocks all threads for 0.4 s (AMD EPYC Zen 3), because it visits a million objects, mostly
    of libraries. Those that exist at the start are excluded from it. And the event loop needs the interpreter lock
    several times for one request, each time waiting one switch interval for every thread that computes.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    give_back()  # what opening the model needed for a moment
    sys.setswitchinterval(_SWITCH_INTERVAL)


def _listen(addresses: list[str], port: int) -> list[socket.socket]:
    """Open a socket for each of ``addresses``, all on the same port.

    Raises:
        OSError: an address cannot be used; the message is a sentence for the user.
    """
    first = _listen_at(addresses[0], port)
    return [first, *(_listen_at(address, first.getsockname()[1]) for address in addresses[1:])]


def _listen_at(host: str, port: int) -> socket.socket:
    """Open a bound socket, so that a port in use is detected before a model is loaded.

    Raises:
        OSError: the address cannot be used; the message is a sentence for the user.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # a restart need not wait for old connections to time out
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # clients that connect before the server is ready wait for it
    except (OSError, OverflowError) as error:
        raise OSError(
            f"Cannot listen on {host}:{port} ({error}). Choose another port with --port, or stop what is using it."
        ) from error
    return listener


class DrainingServer(uvicorn.Server):
    """After the first SIGTERM, ``drain`` is called and the server stops when it returns; any other signal stops it."""

    def __init__(self, config: uvicorn.Config, places: Places, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._places = places
        self._drain = drain
        self._is_draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)

    async def on_tick(self, counter: int) -> bool:
        self._places.give_up_late()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._is_draining:
            super().handle_exit(sig, frame)
            return
        self._is_draining = True
        threading.Thread(target=self._drain_and_exit, args=(sig,), name="drain").start()

    def _drain_and_exit(self, sig: int) -> None:
        self._drain()
        super().handle_exit(sig, None)
