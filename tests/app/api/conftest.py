"""A real server on loopback, and raw requests to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import uvicorn

from app.attribution_indexes import Indexes
from app.model_pool import Models
from app.observability.metrics import Metrics
from app.server import create_app
from app.settings import Settings
from app.shares.database import Database
from app.shares.store import ShareStore
from santacoder.engine.engine import Engine

MODEL = "test/tiny@main"
T = TypeVar("T")


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a separate thread and return its result: a browser test may have left a running event loop in
    this one.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class Serving:
    """A server in a thread, and the engine of its default model."""

    url: str
    engine: Engine

    @contextmanager
    def failing(self, error: BaseException | None = None, seconds: float = 0.0) -> Iterator[None]:
        """Make each step of the model take ``seconds`` longer, and raise ``error`` if it is given."""
        runner = self.engine.runner
        working = runner.prefill, runner.decode

        def hindered(step: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any) -> Any:
                time.sleep(seconds)
                if error is not None:
                    raise error
                return step(*arguments)

            return run

        runner.prefill, runner.decode = map(hindered, working)  # type: ignore[method-assign]
        try:
            yield
        finally:
            runner.prefill, runner.decode = working  # type: ignore[method-assign]

    def wait_until_idle(self) -> None:
        """Wait until all slots are free; fails if one is not freed soon."""
        deadline = time.monotonic() + 30
        while self.engine.n_free_slots < self.engine.runner.n_slots:
            assert time.monotonic() < deadline, "a request goes on"
            time.sleep(0.01)


@contextmanager
def serve(settings: Settings) -> Iterator[Serving]:
    """Run a server on loopback for the duration of the context."""
    metrics = Metrics()
    models = Models(settings, metrics)
    shares = ShareStore(Database(settings.database_url))
    default = models.acquire(settings.model, settings.revision)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings, models, Indexes(settings), shares, metrics),
                log_level="warning",
                proxy_headers=False,
                timeout_graceful_shutdown=5,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Serving(f"http://127.0.0.1:{listener.getsockname()[1]}", default.engine)
        finally:
            default.release()
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        yield serving


@pytest.fixture
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, timeout=30) as client:
        yield client
    serving.wait_until_idle()
