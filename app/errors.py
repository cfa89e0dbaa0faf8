"""What people are told where something fails. What nobody foresaw is for the log alone."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, CheckpointError, UserError

_PATH = re.compile(r"(?<![\w.:/\\])(/[^/\s'\",;:()<>]+)(/[^\s'\",;:()<>]+)")
_MOST_CHARACTERS = 4000  # of a sentence that names what was sent

log = logging.getLogger(__name__)


def sentence_for(error: Exception) -> str:
    """What the page says about ``error``; one that nobody foresaw is logged, and told as a fault of the server."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, (CheckpointError, AttributionError, EngineBusy)):
        return without_paths(str(error))
    log.error("something on the page failed", exc_info=error)
    return "The server failed at this; its log says how."


def without_paths(sentence: str) -> str:
    """``sentence`` with the name of each file in place of its path: where the server keeps things is the operator's."""
    shown = sentence if len(sentence) <= _MOST_CHARACTERS else f"{sentence[:_MOST_CHARACTERS]} …"
    return _PATH.sub(_name_of_file, shown)


def _name_of_file(match: re.Match[str]) -> str:
    try:
        is_path = Path(match[1]).is_dir()
    except OSError:  # no folder can have so long a name
        is_path = False
    return Path(match[2]).name if is_path else match[0]
