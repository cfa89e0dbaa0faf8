"""No step takes long, for any file that the base filter accepts."""

from __future__ import annotations

import time

import pytest

from benchmarks.hostile_files import LANGUAGES, file_of, steps
from santacoder.tokenizer import Tokenizer
from tests.train.data.hostile import hostile
from train.data.filters import too_short, unreadable

SIZE = 100_000
HOSTILE = hostile(SIZE)
# of the processor, so that a busy machine hardly matters: 2 s a megabyte, five times over, where the usual is a tenth
# of that and a search that is not linear takes minutes
BOUND = 2 * SIZE / 1e6 * 5


@pytest.mark.parametrize("name", HOSTILE)
def test_no_step_takes_long(name: str, tokenizer: Tokenizer) -> None:
    files = [file_of(HOSTILE[name], language) for language in LANGUAGES]
    assert [*unreadable(files), *too_short(files)] == [None] * 6
    for step in steps(files, tokenizer).values():
        started = time.process_time()
        step()
        assert time.process_time() - started < BOUND
