"""A process that handles hostile texts, and its end if it exceeds a limit."""

from __future__ import annotations

import pytest

from train.data.limited_process import LimitedProcess


def work(what: str) -> int:
    if what == "fails":
        raise KeyError(what)
    if what == "fills the memory":
        return len(bytes(4 << 30))
    while what == "does not end":
        pass
    return len(what)


def test_what_takes_too_much_is_ended_and_the_next_call_is_answered() -> None:
    limited = LimitedProcess(work, seconds=0.2, room=1 << 30)
    assert [limited(what) for what in ("abc", "does not end", "abcd", "fills the memory")] == [3, None, 4, None]
    with pytest.raises(RuntimeError, match="has failed"):
        limited("fails")
    assert limited("abcde") == 5
