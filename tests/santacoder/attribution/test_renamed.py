"""Copies with renamed identifiers, compared with a definition that is checked position by position."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from santacoder.attribution import AttributionIndex
from santacoder.attribution.contents import Parameters
from santacoder.attribution.names import KEYWORDS, renamed_stretches
from santacoder.attribution.winnowing import guaranteed
from tests.santacoder.attribution.conftest import File, write_index

RENAMED = Parameters(window=8, renamed=True)
tokens = st.lists(st.integers(0, 4), max_size=30)


def one_to_one(one: list[int], other: list[int]) -> bool:
    pairs = set(zip(one, other, strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30))
def test_longest_stretches(pairs: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    every = [(i, j) for i in range(len(one)) for j in range(i + 1, len(one) + 1) if one_to_one(one[i:j], other[i:j])]
    longest = [(i, j) for i, j in every if (i - 1, j) not in every and (i, j + 1) not in every]
    assert renamed_stretches(one, other) == sorted(longest)


def rename(text: str, mapping: Callable[[str], str]) -> str:
    words = re.compile(r"\b[A-Za-z_]\w*")
    return words.sub(lambda match: match[0] if match[0] in KEYWORDS["#"] else mapping(match[0]), text)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_any_renaming_is_found(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    names = [f"name{number}" for number in range(12)]
    marks = ["(", ")", ":", "=", ",", "1", "if", "return", "\n"]
    text = " ".join(rng.choice(names if rng.random() < 0.5 else marks) for _ in range(guaranteed(8) + 30))
    index = write_index(tmp_path, [[File("a.py", text)]], parameters=RENAMED)
    new = dict(zip(names, rng.sample([f"other{number}" for number in range(12)], 12), strict=True))
    (span,) = index.find(rename(text, new.__getitem__))
    assert span.sources[0].renamed
    (span,) = index.find(text)
    assert not span.sources[0].renamed


def test_names_that_are_mixed_up_end_the_match(library: list[File], tmp_path: Path) -> None:
    file = next(file for file in library if file.path == "argparse.py")
    text = "\n".join(file.text.split("\n")[199:240])
    index = write_index(tmp_path / "renamed", [library], parameters=RENAMED)
    assert any(span.sources[0].renamed for span in index.find(rename(text, lambda name: f"x_{name}"), "python"))
    number = iter(range(10_000))
    assert index.find(rename(text, lambda name: f"x{next(number) % 2}"), "python") == []
    plain = write_index(tmp_path / "plain", [library])
    assert plain.find(rename(text, lambda name: f"x_{name}"), "python") == []


def test_a_compact_index_of_renamed_copies(library: list[File], tmp_path: Path) -> None:
    write_index(tmp_path, [library], with_text=False, parameters=RENAMED)
    text = "\n".join(library[5].text.split("\n")[49:120])
    spans = AttributionIndex(tmp_path).find(rename(text, lambda name: f"x_{name}"), "python")
    assert spans and not spans[0].confirmed
