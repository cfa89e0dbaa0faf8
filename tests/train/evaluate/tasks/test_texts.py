"""Infilling and docstrings: BLEU compared with sacrebleu, and the model's prompts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from train.evaluate.__main__ import main
from train.evaluate.tasks import docstrings
from train.evaluate.tasks.bleu import sentence_bleu
from train.evaluate.tasks.infilling import Gap, matches

WORDS = st.lists(st.sampled_from(["a", "list", "of", "numbers", "returns", "the"]), min_size=4, max_size=12)


@given(WORDS, WORDS)
def test_bleu_is_sacrebleu_but_for_the_brevity_penalty(candidate: list[str], reference: list[str]) -> None:
    theirs = BLEU(tokenize="none", smooth_method="add-k", smooth_value=1, effective_order=False).sentence_score(
        " ".join(candidate), [" ".join(reference)]
    )
    brevity = math.exp(min(0.0, 1 - (len(reference) + 1) / (len(candidate) + 1)))
    expected = 0.0 if theirs.counts[0] == 0 else theirs.score / theirs.bp / 100 * brevity
    assert sentence_bleu(" ".join(candidate), " ".join(reference)) == pytest.approx(expected)


def test_bleu_splits_as_codexglue_does() -> None:
    assert sentence_bleu("Get the `node_id`.", "get the ` node _ id ` .") == pytest.approx(1)
    assert sentence_bleu("", "something") == 0


@pytest.mark.parametrize(
    ("completion", "expected"), [("  x = 1\n", True), ("x = 1", True), ("x  = 1", False), ("", False)]
)
def test_a_line_matches_but_for_white_space_around_it(completion: str, expected: bool) -> None:
    assert matches(Gap("task", "python", "", "", "    x = 1"), completion) is expected


def test_docstrings_from_a_folder(tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "code": 'def f(x):\n    """Add one.\n\n    More."""\n    return x + 1',
        "docstring": "Add one.\n\n    More.",
        "docstring_tokens": ["Add", "one", "."],
    }
    (tmp_path / "code-to-text-python.jsonl").write_text(json.dumps(row) + "\n")
    (function,) = docstrings.functions(tmp_path)
    assert function.prompt.prefix == 'def f(x):\n    """' and function.prompt.suffix == '"""\n    return x + 1'
    assert docstrings.score(function, "add  one.") == pytest.approx(1)
    arguments = ["docstrings", "test/tiny", "--store", str(store), "--data", str(tmp_path)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert "| docstrings python T=0.0 | 1 | 1 | BLEU |" in capsys.readouterr().out
