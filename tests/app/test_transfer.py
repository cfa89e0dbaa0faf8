"""What is said of a download, and what a start prints."""

from __future__ import annotations

import io

from app.model_opening import Stage
from app.transfer import TerminalStages, Transfer


def test_rate_and_time_left_are_those_of_the_last_seconds() -> None:
    transfer = Transfer()
    # 1 GB was here before; then 10 MB arrive each second, and after a minute 100 MB
    said = [transfer.described(1_000_000_000 + 10_000_000 * second, 4_000_000_000, second) for second in range(60)]
    assert said[0] == "Downloading (1.0 of 4.0 GB)"
    assert said[10] == "Downloading (1.1 of 4.0 GB, 10.0 MB/s, 4:50 left)"
    for second in range(60, 75):
        here = 1_600_000_000 + 100_000_000 * (second - 60)
        last = transfer.described(here, 4_000_000_000, second)
    assert last == "Downloading (3.0 of 4.0 GB, 100.0 MB/s, 0:10 left)"


def test_without_a_terminal_each_tenth_is_a_line() -> None:
    output = io.StringIO()
    stages = TerminalStages("org/name@main", output)
    for share in range(101):
        stages.report(Stage(share / 100, f"Downloading ({share} of 100)"))
    stages.report(Stage(0.5))
    stages.end()
    lines = output.getvalue().splitlines()
    assert len(lines) == 11 and lines[1] == "Downloading (10 of 100) org/name@main: 10%"


def test_a_terminal_has_one_line() -> None:
    output = io.StringIO()
    output.isatty = lambda: True  # type: ignore[method-assign]
    stages = TerminalStages("org/name@main", output)
    for share in (0.1, 0.2, 0.2, 0.3):
        stages.report(Stage(share))
    stages.end()
    assert "\n" not in output.getvalue() and output.getvalue().count("Loading org/name@main") == 3
