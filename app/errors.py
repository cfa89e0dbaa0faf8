"""What people are told where something fails. What nobody foresaw is for the log alone."""

from __future__ import annotations

import logging

from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, CheckpointError, UserError

log = logging.getLogger(__name__)


def sentence_for(error: Exception) -> str:
    """What the page says about ``error``; one that nobody foresaw is logged, and told as a fault of the server."""
    if isinstance(error, (UserError, CheckpointError, AttributionError, EngineBusy)):
        return str(error)
    log.error("something on the page failed", exc_info=error)
    return "The server failed at this; its log says how."
