"""The server as a Ray Serve deployment: replicas with engines of their own, behind one address.

    RAY_SERVE_SESSION_ID_HEADER_KEY=cookie serve run app.ray_serve:playground replicas=2

Settings are read from that command's environment, such as SANTACODER_MODEL. A page belongs to the replica that opened
it, because Gradio's queue is in memory. Consistent hashing sends all requests with the same cookies to one replica, so
a visitor stays on one from the first page on. Requests without cookies go to any replica.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from ray import serve
from ray.serve.config import RequestRouterConfig
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.attribution_indexes import Indexes
from app.model_pool import Models
from app.observability.logs import set_up_logs
from app.observability.metrics import Metrics
from app.server import create_app
from app.settings import Settings
from app.shares.cookies import visitor
from app.shares.database import Database
from app.shares.store import ShareStore

# the server's own limits are stricter, and use the client's protocol
_MAX_REQUESTS = 1000
_ROUTER = RequestRouterConfig(request_router_class="ray.serve.experimental.consistent_hash_router:ConsistentHashRouter")


def playground(arguments: dict[str, str]) -> serve.Application:
    """The application for ``serve run``: ``replicas`` replicas, each with ``gpus`` and ``cpus`` of its machine."""
    options = {"num_cpus": float(arguments.get("cpus", 1)), "num_gpus": float(arguments.get("gpus", 0))}
    deployment = Replica.options(  # type: ignore[attr-defined]
        num_replicas=int(arguments.get("replicas", 1)), ray_actor_options=options
    )
    return deployment.bind(Settings())


@serve.deployment(
    max_ongoing_requests=_MAX_REQUESTS,
    request_router_config=_ROUTER,
    health_check_period_s=5,
    graceful_shutdown_timeout_s=30,
)
@serve.ingress()
class Replica:
    """One server. Ray replaces it when it fails its health check."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> FastAPI:
        set_up_logs(self._settings.log_level)
        metrics = Metrics()
        self._models = Models(self._settings, metrics)
        self._models.acquire(self._settings.model, self._settings.revision).release()
        shares = ShareStore(Database(self._settings.database_url))
        app = create_app(self._settings, self._models, Indexes(self._settings), shares, metrics)
        app.add_middleware(Sessions)
        return app

    def check_health(self) -> None:
        if problem := self._models.problem():
            raise RuntimeError(problem)


class Sessions:
    """ASGI middleware that sets the visitor's cookie with the page. If it were set later, for example by the first
    like, the page would move to another replica.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        response = Response()
        visitor(Request(scope), response)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                for cookie in response.headers.getlist("set-cookie"):
                    MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await self._app(scope, receive, send_with_cookie)
