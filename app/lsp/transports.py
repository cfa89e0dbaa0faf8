"""Connections to editors: over this process's input and output, or over TCP."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress

from pygls.io_ import run_async

from app.lsp.backends import Backend
from app.lsp.language_server import SuggestionServer
from app.project.project_index import ProjectIndex


def serve_stdio(backend: Backend, project: ProjectIndex | None) -> int:
    """Serve the editor that started this process, until it leaves. Returns the exit status that the protocol asks for:
    0 after ``shutdown``, otherwise 1."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get into the protocol
    status = 1

    def leave(number: int) -> None:
        nonlocal status
        status = number
        raise SystemExit(number)

    server = SuggestionServer(backend, leave, project)
    server.start_io(sys.stdin.buffer, output)
    return status


def serve_tcp(backend: Backend, project: ProjectIndex | None, host: str, port: int) -> int:
    """Serve any number of editors at a TCP address, which share the model, until interrupted. Returns 1 if the address
    cannot be used."""
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_listen(backend, project, host, port))
    except OSError as error:
        print(f"Cannot listen on {host}:{port} ({error}). Choose another address with --tcp.", file=sys.stderr)
        return 1
    return 0


class InTurn:
    """Reads so that a request begins before the next message is read: an edit that follows it must not come first."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.readexactly = reader.readexactly

    async def readline(self) -> bytes:
        await asyncio.sleep(0)  # a stream with data at hand would not let others run
        return await self._reader.readline()


async def _listen(backend: Backend, project: ProjectIndex | None, host: str, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = SuggestionServer(backend, lambda _: writer.close(), project)
        server.protocol.set_writer(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            in_turn = InTurn(reader)
            await run_async(threading.Event(), in_turn, server.protocol, error_handler=server.report_server_error)
        server.end()
        writer.close()

    listener = await asyncio.start_server(serve, host, port)
    for socket in listener.sockets:
        shown_host, shown_port = socket.getsockname()[:2]
        print(f"SantaCoder language server: {shown_host}:{shown_port}  (Ctrl-C stops it)", file=sys.stderr, flush=True)
    async with listener:
        await listener.serve_forever()
