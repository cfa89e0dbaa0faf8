"""Requests with any headers that an attacker may forge."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

Headers = dict[str, str] | Sequence[tuple[str, str]]


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def send(url: str, method: str, path: str, headers: Headers = (), body: object = None) -> Answer:
    """Send a request. ``Host`` is that of ``url`` unless ``headers`` has one; ``body`` is bytes, or is converted to
    JSON.
    """
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if not any(name.lower() == "host" for name, _ in pairs):
            connection.putheader("Host", parts.netloc)
        for name, value in pairs:
            connection.putheader(name, value)
        if content is not None:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()
