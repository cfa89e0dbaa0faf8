"""Errors in OpenAI's format, which other protocols share."""

from __future__ import annotations

from typing import Any

from app.api.error_responses import Explanation
from app.errors import MODEL_NOT_FOUND

_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_body(explanation: Explanation) -> dict[str, Any]:
    status, message, code, _ = explanation
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    param = "model" if code == MODEL_NOT_FOUND else None
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
