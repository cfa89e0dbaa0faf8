"""Logs: one JSON object per line, each with the id of its request."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextvars import ContextVar

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request, which the client receives in ``X-Request-Id``."""


def set_up_logs(level: str) -> None:
    """Log to stderr at ``level`` or above; libraries only from warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )
    )
    handler.addFilter(_add_request_id)
    handler.addFilter(_is_no_stop)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in ("app", "santacoder"):
        logging.getLogger(package).setLevel(level.upper())


def _is_no_stop(record: logging.LogRecord) -> bool:
    """Whether the record is not about a request that ended because the server stops, which uvicorn reports as an error
    with a stack trace."""
    error = record.exc_info[1] if record.exc_info else None
    return not (record.name == "uvicorn.error" and isinstance(error, asyncio.CancelledError))


def _add_request_id(record: logging.LogRecord) -> bool:
    if identifier := request_id.get():
        record.request_id = identifier
    return True
