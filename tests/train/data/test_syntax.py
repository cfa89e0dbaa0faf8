"""Syntax-aware FIM."""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.fim import FimTransform
from santacoder.tokenizer import Tokenizer
from train.data.syntax import node_cuts

SOURCES = {
    "python": """import os


def area(width, height):
    if width < 0:
        return None
    return width * height
""",
    "java": """class A {
    int area(int width, int height) {
        return width * height;
    }
    String s = "é(";
}
""",
    "javascript": """function area(width, height) {
  if (width < 0) { return null; }
  return width * height;
}
""",
}


def middles(language: str, count: int = 200) -> Counter[str]:
    text = SOURCES[language]
    rng = np.random.default_rng(0)
    return Counter(text[slice(*node_cuts(text, language, rng))] for _ in range(count))


@pytest.mark.parametrize(
    ("language", "whole"),
    [
        ("python", ["return width * height", "(width, height)", "width < 0"]),
        ("java", ["return width * height;", "(int width, int height)", "width * height"]),
        ("javascript", ["return width * height;", "(width, height)", "{ return null; }"]),
    ],
)
def test_middles_are_nodes_or_the_rest_of_one(language: str, whole: list[str]) -> None:
    found = middles(language)
    assert all(found[text] for text in whole)
    # nothing ends inside a statement or an argument
    text = SOURCES[language]
    assert all(text.index(middle) >= 0 and not middle.endswith(("(", "{", "=", ".", ",")) for middle in found)
    assert max(map(len, found)) <= 700


def test_middles_end_where_python_says_that_something_ends() -> None:
    text = SOURCES["python"]
    ends = {(n.end_lineno, n.end_col_offset) for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.stmt, ast.expr))}
    for seed in range(100):
        before = text[: node_cuts(text, "python", np.random.default_rng(seed))[1]].splitlines()
        assert (len(before), len(before[-1])) in ends or before[-1].endswith(")")  # a list of parameters


def test_fragments_are_read_as_far_as_they_can_be() -> None:
    text = "width)\n    return None\n\ndef area(width, height):\n    return width * hei"
    found = {text[slice(*node_cuts(text, "python", np.random.default_rng(seed)))] for seed in range(50)}
    assert "return None" in found and "(width, height)" in found


@given(text=st.text(max_size=200), language=st.sampled_from(list(SOURCES)), seed=st.integers(0, 99))
def test_any_text_has_a_middle(text: str, language: str, seed: int) -> None:
    low, high = node_cuts(text, language, np.random.default_rng(seed))
    assert 0 <= low <= high <= len(text)


@pytest.mark.parametrize("spm_rate", [0.0, 1.0])
def test_the_transformation_cuts_around_nodes_in_either_order(spm_rate: float) -> None:
    tokenizer = Tokenizer.train(SOURCES.values(), 400)
    window = np.array(tokenizer.encode(SOURCES["java"]))
    transform = FimTransform(tokenizer, 1.0, spm_rate, node_rate=1.0, node_cuts=node_cuts)
    text, found = SOURCES["java"], 0
    for seed in range(20):
        sample = transform(window, np.random.default_rng(seed), ["java"])
        assert len(sample) == len(window)
        for part in tokenizer.decode(sample.tolist()).split("<fim-prefix>")[1:]:
            before, _, after = part.removesuffix("<|endoftext|>").partition("<fim-middle>")
            if spm_rate == 0:
                prefix = before.partition("<fim-suffix>")[0]
                assert prefix + after in text  # the suffix may have lost its end to the marks
                found += after.endswith((")", ";", "}", "t", "h"))
            else:
                assert before.startswith("<fim-suffix>") and after in text
                found += 1
    assert found >= 5


def test_a_window_that_ends_with_a_document_has_nothing_after_it_to_cut() -> None:
    tokenizer = Tokenizer.train(SOURCES.values(), 400)
    document = [*tokenizer.encode(SOURCES["python"]), tokenizer.end_of_text_id]
    transform = FimTransform(tokenizer, 1.0, node_rate=1.0, node_cuts=node_cuts)
    for seed in range(5):
        sample = transform(np.array(document), np.random.default_rng(seed), ["python"])
        longer = transform(np.array(document + document[:1]), np.random.default_rng(seed), ["python", "python"])
        assert len(sample) == len(document) and (sample == longer[:-1]).all()


def test_without_syntax_nodes_documents_are_cut_as_before() -> None:
    tokenizer = Tokenizer.train(SOURCES.values(), 400)
    window = np.array(tokenizer.encode(SOURCES["python"]))
    plain = FimTransform(tokenizer, 1.0)(window, np.random.default_rng(3))
    assert (
        FimTransform(tokenizer, 1.0, node_cuts=node_cuts)(window, np.random.default_rng(3), ["python"]) == plain
    ).all()
