"""Connection limits: idle connections time out and are closed first when there are too many, and clients take turns in
having what they send read.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import Counter, OrderedDict, deque
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.flow_control import FlowControl

from app.middleware.client_address import network

ACCEPTED_AT_ONCE = 512
"""Connections that may be accepted in one turn of the event loop."""
BACKLOG = 4096
"""Connections that the system queues until they are accepted. A connection beyond that is tried again after 1 s."""
MAX_HEADER_BYTES = 64 * 1024
SECONDS_FOR_HEADERS = 20.0
_MOST_POSTPONED = 16
"""Connections accepted for each one that is read, while many arrive."""
_BODY_AT_ONCE = 16 * 1024
"""Bytes of a body that are processed in one turn."""
_REQUESTS_AT_ONCE = 4 * 1024
"""Bytes of requests that are processed in one turn, about a hundred short ones."""
# Java's HttpClient asks for HTTP/2 with every request. The server has no other protocol, and the parser would take the
# body for one.
_UPGRADE = re.compile(rb"(?i)(\r\n)upgrade:[^\r\n]*(?=\r\n|\Z)")
_SECONDS_TO_BEGIN = 0.5  # a connection that was just accepted may not have been read yet
_MOST = 8192
_FILES_FOR_OTHERS = 256  # descriptors that models, databases and pipes need


class Places:
    """The connections of a server, at most ``most``.

    If one more arrives, the connection that has waited longest for a request is closed. If none has waited for long, it
    is the oldest connection of the address with the most connections, so one client cannot occupy all of them with
    endless responses.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: OrderedDict[BoundedConnection, str] = OrderedDict()  # the address of each, the oldest first
        self._of_address: Counter[str] = Counter()
        self._waiting: OrderedDict[BoundedConnection, float] = OrderedDict()

    def enter(self, connection: BoundedConnection) -> None:
        self._open[connection] = connection.address
        self._of_address[connection.address] += 1
        if len(self._open) > self._most:
            self._give_up(self._first_to_go())
        self.wait(connection)

    def wait(self, connection: BoundedConnection) -> None:
        """Mark ``connection`` as idle from now on."""
        if connection in self._open:
            self._waiting[connection] = time.monotonic()
            self._waiting.move_to_end(connection)

    def work(self, connection: BoundedConnection) -> None:
        self._waiting.pop(connection, None)

    def leave(self, connection: BoundedConnection) -> None:
        address = self._open.pop(connection, None)
        self._waiting.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def give_up_late(self) -> None:
        """Close connections whose headers have not arrived in time."""
        late = time.monotonic() - SECONDS_FOR_HEADERS
        while self._waiting and next(iter(self._waiting.values())) < late:
            self._give_up(next(iter(self._waiting)))

    def _first_to_go(self) -> BoundedConnection:
        connection, since = next(iter(self._waiting.items()), (None, 0.0))
        if connection is not None and time.monotonic() - since > _SECONDS_TO_BEGIN:
            return connection
        busiest = max(self._of_address, key=self._of_address.__getitem__)
        return next(connection for connection, address in self._open.items() if address == busiest)

    def _give_up(self, connection: BoundedConnection) -> None:
        self.leave(connection)
        if not connection.transport.is_closing():
            connection.transport.close()


class ReadingTurns:
    """Clients take turns in having what they sent read, so that a thousand requests of one do not delay another's.

    One connection is read in each turn of the event loop, since a request costs about 1 ms before it first waits. New
    connections come first: the system queues them in order of arrival, whoever they are from, and uvloop accepts one
    per turn.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[BoundedConnection]] = OrderedDict()  # by address, the next one first
        self._has_new = False
        self._n_postponed = 0

    def wait(self, connection: BoundedConnection) -> None:
        """Call ``connection.read()`` when it is its turn, soon if nobody else waits."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._read)
        self._lines.setdefault(connection.address, deque()).append(connection)

    def postpone(self) -> None:
        """Let the next reading wait, because a connection was accepted and more may follow."""
        self._has_new = True

    def _read(self) -> None:
        if self._has_new and self._n_postponed < _MOST_POSTPONED:
            self._has_new = False
            self._n_postponed += 1
            asyncio.get_running_loop().call_soon(self._read)
            return
        self._n_postponed = 0
        address, line = self._lines.popitem(last=False)
        connection = line.popleft()
        if line:
            self._lines[address] = line
        if self._lines:
            asyncio.get_running_loop().call_soon(self._read)
        connection.read()


class _Flow(FlowControl):
    """uvicorn's flow control. Reading resumes only when all requests that were received are processed, and in turn:
    uvicorn would read 256 KiB of further requests after each response.
    """

    def __init__(self, connection: BoundedConnection) -> None:
        super().__init__(connection.transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if self.read_paused and not self._connection.has_waiting_requests:
            self.read_paused = False
            self._connection.read_on()


class BoundedConnection(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's connection, counted among the others and read in turn, with headers of at most ``MAX_HEADER_BYTES``."""

    def __init__(self, places: Places, turns: ReadingTurns, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._places = places
        self._turns = turns
        self.address = ""  # the client's network, which counts as one client
        self._unread = b""
        self._n_header_bytes = 0
        self._is_in_body = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _Flow(self)
        self.address = network(self.client[0]) if self.client else ""
        self._places.enter(self)
        self._turns.postpone()

    def connection_lost(self, error: Exception | None) -> None:
        self._unread = b""
        self._places.leave(self)
        super().connection_lost(error)

    @property
    def has_waiting_requests(self) -> bool:
        """Whether the client has sent further requests without waiting for the response to the first."""
        return bool(getattr(self, "pipeline", ()))

    def data_received(self, data: bytes) -> None:
        self.transport.pause_reading()
        self._unread += data
        self._turns.wait(self)

    def read(self) -> None:
        """Process part of what was received, unless the client has gone."""
        size = _BODY_AT_ONCE if self._is_in_body else _REQUESTS_AT_ONCE
        data, self._unread = self._unread[:size], self._unread[size:]
        if not data or self.transport.is_closing():
            return
        # uvicorn has no limit: its parser would keep everything
        begun = self._is_in_body or (self.cycle is not None and not self.cycle.response_complete)
        if not begun and not self._n_header_bytes:
            data = _without_upgrade(data)
        self._n_header_bytes = 0 if begun else self._n_header_bytes + len(data)
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._n_header_bytes = 0
            self._places.work(self)
        elif self._n_header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The headers are larger than {MAX_HEADER_BYTES} bytes.")
        if not self.flow.read_paused:
            self.read_on()

    def read_on(self) -> None:
        """Process the rest of what was received when it is its turn, and then receive more."""
        if self.transport.is_closing():
            return
        if self._unread:
            self._turns.wait(self)
        else:
            self.transport.resume_reading()

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._places.wait(self)


def _without_upgrade(data: bytes) -> bytes:
    """``data``, which begins with a request, without the header that asks for another protocol."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"", head) + separator + rest


def most_connections() -> int:
    """The number of connections that the file descriptors allow, after raising the process's limit to its maximum."""
    if sys.platform == "win32":  # Windows has no such limit
        return _MOST
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reserved = ACCEPTED_AT_ONCE + _FILES_FOR_OTHERS
    if soft != resource.RLIM_INFINITY and soft < _MOST + reserved:
        soft = _MOST + reserved if hard == resource.RLIM_INFINITY else min(_MOST + reserved, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST if soft == resource.RLIM_INFINITY else max(16, min(_MOST, soft - reserved))
