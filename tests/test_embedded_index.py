"""The index in the repository is small, and a fresh clone shows the origin of code."""

from __future__ import annotations

import inspect

import pygments.lexer

from app.attribution_indexes import Indexes
from app.settings import Settings
from santacoder.checkpoints import DEFAULT_STORE


def test_it_is_small() -> None:
    sizes = [path.stat().st_size for path in DEFAULT_STORE.glob("attribution--*/**/*") if path.is_file()]
    assert sizes and sum(sizes) <= 25_000_000


def test_a_training_file_is_recognised_offline() -> None:
    # a training file of santacoder/nano in the very version that requirements.lock pins
    lines = inspect.getsource(pygments.lexer).split("\n")[100:160]
    found = Indexes(Settings()).check("santacoder/nano", "\n".join(lines), "python")
    assert found is not None and not found.searched.confirmed
    source = found.spans[0].sources[0]
    assert (source.package, source.version, source.path) == ("Pygments", "2.21.0", "pygments/lexer.py")
    assert source.lines[0] <= 160 and source.lines[1] >= 101 and source.registry == "pypi"
