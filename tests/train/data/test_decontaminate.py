"""Benchmarks are detected in files, whole and in part; ordinary code is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data import sources
from train.data.benchmark_texts import benchmark_texts
from train.data.decontaminate import (
    MIN_TOKENS,
    RUN,
    RUNS,
    WHOLE_TEXTS,
    Fingerprints,
    contaminated,
    fingerprints,
    is_contaminated,
)
from train.data.source_file import SourceFile
from train.evaluate.tasks.data import default_folder

EVALUATION = default_folder() or Path("absent")
needs_benchmarks = pytest.mark.skipif(not EVALUATION.is_dir(), reason="the benchmarks' files are not at hand")


TOKEN = r"\w+|[^\w\s]"


def in_a_file(text: str) -> SourceFile:
    return SourceFile("p", "1", "MIT", "a.py", "python", f"import os\n\n\nclass A:\n    pass\n\n{text}\n\nprint(os)\n")


@needs_benchmarks
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\n        "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("    ", "\t"),
    ],
    ids=["as it is", "indented", "CRLF", "tabs"],
)
def test_files_with_a_prompt_or_solution_are_out(change: Callable[[str], str]) -> None:
    """Every benchmark text, inside other code and with different white space. Bodies of fewer than eight tokens, such
    as ``return len(string)``, are detected with their function's head.
    """
    for kind, texts in benchmark_texts(EVALUATION).items():
        missed = [text for text in texts[:500] if not contaminated([in_a_file(change(text))])[0]]
        assert len(missed) == (5 if "bodies" in kind else 0), (kind, missed)
        assert all(len(text.split()) < 7 for text in missed)


@pytest.mark.slow
@needs_benchmarks
def test_the_stored_hashes_are_those_of_the_benchmarks() -> None:
    found = fingerprints(text for texts in benchmark_texts(EVALUATION).values() for text in texts)
    assert np.array_equal(np.load(RUNS), found.runs)
    assert np.array_equal(np.load(WHOLE_TEXTS), found.whole)


def test_a_well_known_prompt_is_found_without_the_benchmarks() -> None:
    description = "Check if in given list of numbers, are any two numbers closer to each other than given threshold."
    assert contaminated([in_a_file(f'"""{description}"""')]) == ["part of a benchmark"]


@pytest.mark.slow
def test_ordinary_code_stays() -> None:
    files = [item for source in sources.standard_library() for item in source.read() if isinstance(item, SourceFile)]
    files = files[:500]
    found = [file.path for file, reason in zip(files, contaminated(files), strict=True) if reason]
    assert len(found) < 0.005 * len(files)


def test_short_texts_have_nothing_to_be_found_by() -> None:
    assert [len(found) for found in fingerprints(["return a + b", "0 " * 50])] == [0, 0]
    assert len(fingerprints([" ".join(f"word{number}" for number in range(RUN))]).runs) == 1
    assert contaminated([]) == []


@given(st.lists(st.text("ab(=\n ", min_size=20, max_size=60), min_size=1, max_size=8), st.text("ab(=\n ", max_size=40))
def test_a_whole_text_is_found_where_it_stands_and_only_there(texts: list[str], other: str) -> None:
    """Compared with a search for consecutive tokens; there are only a few kinds of tokens, so near misses are
    frequent.
    """
    tokens = [re.findall(TOKEN, text) for text in texts]
    known = fingerprints(texts)
    kept = [each for each in tokens if len(each) >= MIN_TOKENS and len({one for one in each if one[0] in "ab"}) > 2]
    assert len(known.whole) == len({tuple(each) for each in kept})
    for text in [other, *texts, f"{other} {texts[0]} {other}", texts[0][:-3] + " ("]:
        joined = f" {' '.join(re.findall(TOKEN, text))} "
        stands = any(f" {' '.join(each)} " in joined for each in kept)
        assert is_contaminated(text, Fingerprints(np.empty(0, np.uint64), known.whole)) == stands
