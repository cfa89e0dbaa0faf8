"""When the rest of the last suggestion is the next one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lsp.backends import Answer
from app.lsp.typed_through import LastAnswer


def body(prefix: str, **fields: Any) -> dict[str, Any]:
    return {"input_prefix": prefix, "input_suffix": "\n", "stop_at": "line", "input_extra": [], **fields}


def last(prefix: str, text: str) -> LastAnswer:
    answer = LastAnswer()
    answer.keep(body(prefix), Answer([text], "a/b@main"))
    return answer


@given(st.text("ab c\n", max_size=8), st.text("ab c\n", max_size=8), st.integers(0, 8))
def test_typed_and_rest_are_the_suggestion(prefix: str, text: str, n_typed: int) -> None:
    typed = text[:n_typed]
    rest = last(prefix, text).rest(body(prefix + typed, stop_at="block", input_extra=[{"text": "x"}]))
    assert (rest is None) == (not text[n_typed:].strip())
    assert rest is None or (typed + rest.texts[0], rest.model) == (text, "a/b@main")


@pytest.mark.parametrize(
    "asked",
    [
        body("x = fo"),  # something else was typed
        body("x ="),  # something was deleted
        body("x = ap", input_suffix="\n\n"),
        body("x = ap", language="java"),
        body("y = ap"),
        body("x = apple"),  # nothing is left
    ],
)
def test_otherwise_the_model_is_asked(asked: dict[str, Any]) -> None:
    assert last("x = ", "apple").rest(asked) is None
    assert LastAnswer().rest(asked) is None
