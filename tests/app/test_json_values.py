"""Values of a JSON text, compared with a recursive count."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.json_values import has_more_values

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.text(',[{"\\:', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)


def count(value: Any) -> int:
    if isinstance(value, list) and all(type(each) is int for each in value):
        return 1 + -(-len(value) // 10)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + sum(map(count, inner))


@given(values, st.integers(1, 40), st.integers(1, 9))
def test_the_count(value: Any, most: int, piece: int) -> None:
    with patch("app.json_values._PIECE", piece):
        assert has_more_values(json.dumps(value).encode(), most) == (count(value) > most)


@pytest.mark.parametrize(
    "data", [[0] * 130_000, [0.5] * 30_000, [[]] * 30_000, [{}] * 25_000, [{"a": {"b": [[0] * 125_000]}}]]
)
def test_many_values(data: list[Any]) -> None:
    assert has_more_values(json.dumps({"data": data}).encode(), 10_000)


@pytest.mark.parametrize("value", [5, 0.5, [], {}, "a"])
def test_a_million_values_are_counted_without_being_parsed(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever parses them lets no other thread run."""
    body = json.dumps({"prompt": ["[,", value] * 700_000}).encode()
    monkeypatch.setattr("app.json_values.json.loads", lambda body: pytest.fail("it is parsed"))
    assert has_more_values(body, 10_000)


def test_what_has_few() -> None:
    assert not has_more_values(json.dumps({"data": ["f(a[0], {}), " * 50_000, 1, None]}).encode(), 10_000)
    assert has_more_values(b"[" * 100_000, 10_000)
    assert not has_more_values(b"no json" * 10_000, 10_000)
    assert not has_more_values(json.dumps({"prompt": [[5] * 2_048] * 32}).encode(), 10_000)
