"""No step takes long, whatever a file that the base filter lets through holds."""

from __future__ import annotations

import time

import pytest

from tests.train.data.hostile import HOSTILE, SIZE
from train.data.filters import oddly_commented
from train.data.near_dedup import shingles
from train.data.pipeline import clean
from train.data.source_file import SourceFile

# of the processor, so that a busy machine hardly matters: 2 s a megabyte, five times over, where the usual is a tenth
# of that and a search that is not linear takes minutes
BOUND = 2 * SIZE / 1e6 * 5


@pytest.mark.parametrize("name", HOSTILE)
def test_no_step_takes_long(name: str) -> None:
    files = [SourceFile("p", "1", "MIT", "a", language, HOSTILE[name]) for language in ("python", "java", "javascript")]
    for step in (
        lambda: clean(files[:1], ()),
        lambda: oddly_commented(files[:1]),
        lambda: oddly_commented(files[1:2]),
        lambda: oddly_commented(files[2:]),
        lambda: shingles(files[0].text, 5),
    ):
        started = time.process_time()
        step()
        assert time.process_time() - started < BOUND
