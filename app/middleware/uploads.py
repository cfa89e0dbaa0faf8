"""Files that visitors upload for the Train pane: a separate folder, and limits on their size, number and lifetime."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from python_multipart.multipart import parse_options_header
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.mount import route_of

MOST_AT_A_TIME = 4
_SECONDS_KEPT = 3600
"""Seconds. A job copies its archive when it starts, so uploads are not needed after that."""
_QUOTA = 4
"""A multiple of the maximum size of one upload."""
_MOST_PARTS = 8
"""Of one upload; the page sends a single file."""


class Uploads:
    """Interrupted uploads are deleted. All uploads are deleted when the server stops.

    Gradio writes an upload under a temporary name into the folder, and moves it into a subfolder when it is complete.
    """

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes`` is the maximum size of an upload; 0 disables uploads."""
        self.most_bytes = most_bytes
        self.folder = _own_folder()
        self.n_under_way = 0

    def refusal(self) -> tuple[int, str] | None:
        """A status code and a sentence if another upload is not allowed."""
        if not self.most_bytes:
            return 404, "This server does not accept uploads, because visitors cannot train on it."
        if self.n_under_way >= MOST_AT_A_TIME:
            return (
                429,
                f"{MOST_AT_A_TIME} uploads are in progress, which is the limit; try again when one has finished.",
            )
        self.folder.mkdir(exist_ok=True)
        self.sweep()
        held = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        if held + self.most_bytes > _QUOTA * self.most_bytes:
            return 507, "There is no space for more uploads at the moment; try again in an hour."
        return None

    def names_others(self, values: Iterable[Any]) -> bool:
        """Whether one of the values of a JSON text names a file that was not uploaded.

        Gradio copies any file or web address that a request names, for any component, to a location that its sender can
        read.
        """
        return any(isinstance(each, dict) and "path" in each and not self._holds(each["path"]) for each in values)

    def _holds(self, path: Any) -> bool:
        try:
            return isinstance(path, str) and Path(path).resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError, ValueError):  # a name that no file can have
            return False

    def sweep(self) -> None:
        """Delete interrupted uploads, and those older than an hour."""
        for path in self.folder.glob("*"):
            is_broken = path.is_file() and not self.n_under_way
            if is_broken or time.time() - path.stat().st_mtime > _SECONDS_KEPT:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class UploadLimits:
    """ASGI middleware that limits uploads."""

    def __init__(self, app: ASGIApp, uploads: Uploads) -> None:
        self._app = app
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_upload(scope):
            await self._app(scope, receive, send)
            return
        refusal = self._uploads.refusal()
        if refusal is not None:
            status, sentence = refusal
            await JSONResponse({"error": sentence}, status)(scope, receive, send)
            return
        self._uploads.n_under_way += 1
        parts = _Parts(scope, receive, send)
        try:
            await self._app(scope, parts.receive, parts.send)
        except Exception:
            if not parts.are_refused:
                raise
        finally:
            self._uploads.n_under_way -= 1
            self._uploads.sweep()
        if parts.are_refused:
            sentence = f"The upload has more than {_MOST_PARTS} files; the page takes one archive."
            await JSONResponse({"error": sentence}, 413)(scope, receive, send)


class _Parts:
    """Counts the parts of an upload as they arrive, because Gradio creates a file for each of them on the event loop.

    If there are too many, Gradio sees a disconnected client.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        self._mark = b"--" + parse_options_header(kind)[1].get(b"boundary", b"")
        self._receive = receive
        self._send = send
        self._end = b""  # the last bytes received, where a boundary may have begun
        self._n_marks = 0

    @property
    def are_refused(self) -> bool:
        return self._n_marks > _MOST_PARTS + 1  # one more boundary closes the last part

    async def receive(self) -> Message:
        message = await self._receive()
        content = self._end + message.get("body", b"")
        self._n_marks += content.count(self._mark)
        self._end = content[max(0, len(content) - len(self._mark) + 1) :]
        return {"type": "http.disconnect"} if self.are_refused else message

    async def send(self, message: Message) -> None:
        if not self.are_refused:
            await self._send(message)


_PREFIX = "santacoder-uploads-"


@cache
def _own_folder() -> Path:
    """A folder of this process, which Gradio uses from now on. Folders left by killed servers are deleted."""
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{_PREFIX}*"):
        process_id = left.name.removeprefix(_PREFIX).partition("-")[0]
        if process_id.isdigit() and not psutil.pid_exists(int(process_id)):
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)
    os.environ["GRADIO_TEMP_DIR"] = folder
    return Path(folder)


def is_upload(scope: Scope) -> bool:
    return route_of(scope).rstrip("/") == "/gradio_api/upload"
