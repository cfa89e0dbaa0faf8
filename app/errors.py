"""Errors that several parts of the server raise, and error messages for users. Unexpected errors are only logged."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, CheckpointError, UserError

_PATH = re.compile(r"(?<![\w.:/\\])(/[^/\s'\",;:()<>]+)(/[^\s'\",;:()<>]+)")
_MOST_CHARACTERS = 4000  # of a message that quotes the request
_MOST_COMPLAINTS = 5

log = logging.getLogger(__name__)

MODEL_NOT_FOUND = "model_not_found"
SECONDS_TO_RETRY = 1


def sentence_for(error: Exception) -> str:
    """The page's message for ``error``. An unexpected error is logged, and reported as a server error."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (CheckpointError, AttributionError, EngineBusy)):
        return without_paths(str(error))
    log.error("something on the page failed", exc_info=error)
    return "Something went wrong on the server; the details are in its log."


def without_paths(sentence: str) -> str:
    """``sentence`` with each path replaced by the file's name: users must not learn where the server keeps things."""
    shown = sentence if len(sentence) <= _MOST_CHARACTERS else f"{sentence[:_MOST_CHARACTERS]} …"
    return _PATH.sub(_name_of_file, shown)


def _name_of_file(match: re.Match[str]) -> str:
    try:
        is_path = Path(match[1]).is_dir()
    except OSError:  # the name is too long for a path
        is_path = False
    return Path(match[2]).name if is_path else match[0]


def sentences(details: Sequence[Mapping[str, Any]], n_outer: int = 0) -> str:
    """pydantic's errors for the client's user, without the first ``n_outer`` parts of each location."""
    told = [_sentence(detail, n_outer) for detail in details[:_MOST_COMPLAINTS]]
    if len(details) > len(told):
        told.append(f"There are {len(details) - len(told):,} more such errors.")
    return " ".join(told)


def _sentence(detail: Mapping[str, Any], n_outer: int) -> str:
    if detail["type"] == "json_invalid":
        return f"The request is not valid JSON at character {detail['loc'][1] + 1}: {detail['ctx']['error']}."
    parts = [str(part) for part in detail["loc"][n_outer:]]
    # the first part may be the tag of a body that may have several forms, and is then in brackets
    place = ".".join(parts[1:] if parts and parts[0].startswith("<") else parts)
    complaint = "Input should be a JSON object" if detail["type"] == "model_attributes_type" else detail["msg"]
    return f"{place or 'The request'}: {complaint}."


class ApiError(Exception):
    """A request that cannot be answered; the message is for the client's user, ``retry_after`` is in seconds.

    ``code`` is the protocols' name for the error, for programs.
    """

    def __init__(
        self, status: int, message: str, *, code: str | None = None, retry_after: int = SECONDS_TO_RETRY
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class ShareError(Exception):
    """An error with a share; the message is for the user."""


class ShareRefused(ShareError):
    """The request is not allowed: too large, too many, or with the wrong secret."""


class TooOften(ShareRefused):
    """More than the rate limit allows."""


class ShareMissing(ShareError):
    """The share does not exist, was deleted, or is hidden."""


class StoreUnavailable(ShareError):
    """The database failed; nothing was changed."""


class DatabaseUnusable(ShareError):
    """The database cannot be opened at start."""
