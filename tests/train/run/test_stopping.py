"""What signals do to a run."""

from __future__ import annotations

import signal

import pytest

from train.loop import ALONE
from train.run.stopping import stop_requests


def test_only_a_second_sigint_interrupts() -> None:
    """After Ctrl-C, ``python -m train.embedded`` sends a SIGTERM to the training that the terminal has interrupted."""
    with stop_requests(ALONE) as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
