"""Benchmarks are found in files, whole and in part; ordinary code is not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from train.data import sources
from train.data.decontaminate import FINGERPRINTS, RUN, benchmark_texts, contaminated, fingerprint
from train.data.source_file import SourceFile

EVALUATION = Path(os.environ.get("SANTACODER_EVAL_DATA", REPOSITORY.parent / "shared" / "eval"))
needs_benchmarks = pytest.mark.skipif(not EVALUATION.is_dir(), reason="the benchmarks' files are not at hand")


def in_a_file(text: str) -> SourceFile:
    return SourceFile("p", "1", "MIT", "a.py", "python", f"import os\n\n\nclass A:\n    pass\n\n{text}\n\nprint(os)\n")


@needs_benchmarks
def test_files_with_a_prompt_or_solution_are_out() -> None:
    """Every text of the benchmarks that has ten telling words, inside other code and with other white space."""
    texts = [text for text in benchmark_texts(EVALUATION) if len(fingerprint([text]))]
    assert len(texts) > 6000
    found = contaminated([in_a_file(text.replace("\n", "\n        ")) for text in texts])
    assert found == ["part of a benchmark"] * len(texts)


@needs_benchmarks
def test_the_stored_runs_are_those_of_the_benchmarks() -> None:
    assert np.array_equal(np.load(FINGERPRINTS), fingerprint(benchmark_texts(EVALUATION)))


def test_a_well_known_prompt_is_found_without_the_benchmarks() -> None:
    description = "Check if in given list of numbers, are any two numbers closer to each other than given threshold."
    assert contaminated([in_a_file(f'"""{description}"""')]) == ["part of a benchmark"]


def test_ordinary_code_stays() -> None:
    files = [item for source in sources.standard_library() for item in source.read() if isinstance(item, SourceFile)]
    files = files[:500]
    found = [file.path for file, reason in zip(files, contaminated(files), strict=True) if reason]
    assert len(found) < 0.005 * len(files)


def test_short_texts_have_no_runs() -> None:
    assert len(fingerprint(["return a + b", " ".join(map(str, range(50)))])) == 0
    assert len(fingerprint([" ".join(f"word{number}" for number in range(RUN))])) == 1
    assert contaminated([]) == []
