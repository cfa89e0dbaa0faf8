"""Normalised tokens compared with regular expressions on strings, line by line."""

from __future__ import annotations

import time
from pathlib import Path

import gradio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.attribution.tokens import tokenize
from tests.santacoder.attribution import brute_force
from tests.santacoder.attribution.conftest import File

STYLES = ["#", "//"]
texts = st.text(st.sampled_from("ab1_$ \n\t#/*'\"`\\=(é漢\r\0"), max_size=60)


def check(text: str, style: str) -> None:
    content = text.encode()
    found = tokenize(content, style)
    expected = brute_force.tokens(text, style)
    pieces = [content[start:end].decode() for start, end in zip(found.starts, found.ends, strict=True)]
    assert pieces == [token for token, _, _ in expected]
    byte = [len(text[:start].encode()) for _, start, _ in expected]
    assert found.starts.tolist() == byte
    # equal hashes for equal tokens, and for no others
    assert len(set(zip(pieces, found.hashes.tolist(), strict=True))) == len(set(pieces)) == len(np.unique(found.hashes))


@given(texts, st.sampled_from(STYLES))
def test_any_text(text: str, style: str) -> None:
    check(text, style)


def test_real_python(library: list[File]) -> None:
    for file in library[:25]:
        check(file.text, "#")


def test_real_javascript() -> None:
    files = [path for path in sorted(Path(gradio.__file__).parent.rglob("*.js")) if path.stat().st_size < 40_000]
    assert files
    for path in files[:25]:
        check(path.read_text("utf-8"), "//")


@given(texts, texts, st.sampled_from(STYLES))
def test_a_fragment_has_the_tokens_it_has_in_its_file(above: str, below: str, style: str) -> None:
    both = tokenize(f"{above}\n{below}".encode(), style).hashes.tolist()
    apart = [*tokenize(above.encode(), style).hashes.tolist(), *tokenize(below.encode(), style).hashes.tolist()]
    assert both == apart


@pytest.mark.parametrize("language", STYLES)
@pytest.mark.parametrize("unit", ['\\"', '"', "'", "`", "/*", "* ", "#", "\n \t", "*/", '"\\'])
def test_no_text_takes_quadratic_time(unit: str, language: str) -> None:
    started = time.process_time()
    tokenize((unit * 100_000).encode(), language)
    assert time.process_time() - started < 5  # quadratic: minutes


def test_white_space_and_comments_do_not_count() -> None:
    one = b"def area(r):\n    # of a circle\n    return 'a # b' * r ** 2\n"
    other = b"def area( r ):  # round\n\n\treturn 'a # b'*r**2"
    assert np.array_equal(tokenize(one, "#").hashes, tokenize(other, "#").hashes)
    one = b"/**\n * The area. It's round.\n */\nint area() { return a/b; } // done"
    other = b"int area()\n{\n  return a /* over */ / b;\n}"
    assert np.array_equal(tokenize(one, "//").hashes, tokenize(other, "//").hashes)
