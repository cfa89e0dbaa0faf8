"""Error messages for users. Unexpected errors are only logged."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, CheckpointError, UserError

_PATH = re.compile(r"(?<![\w.:/\\])(/[^/\s'\",;:()<>]+)(/[^\s'\",;:()<>]+)")
_MOST_CHARACTERS = 4000  # of a message that quotes the request

log = logging.getLogger(__name__)


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
