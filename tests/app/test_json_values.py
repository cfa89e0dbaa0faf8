"""Values of a JSON text, compared with a recursive count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.json_values import has_more_values

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)


def count(value: Any) -> int:
    if isinstance(value, list) and all(type(each) is int for each in value):
        return 1 + -(-len(value) // 10)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + sum(map(count, inner))


@given(values, st.integers(1, 40))
def test_the_count(value: Any, most: int) -> None:
    assert has_more_values(json.dumps(value).encode(), most) == (count(value) > most)


@pytest.mark.parametrize(
    "data", [[0] * 130_000, [0.5] * 30_000, [[]] * 30_000, [{}] * 25_000, [{"a": {"b": [[0] * 125_000]}}]]
)
def test_many_values(data: list[Any]) -> None:
    assert has_more_values(json.dumps({"data": data}).encode(), 10_000)


def test_what_has_few(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_more_values(json.dumps({"data": ["f(a[0], {}), " * 50_000, 1, None]}).encode(), 10_000)
    assert has_more_values(b"[" * 100_000, 10_000)
    assert not has_more_values(b"no json" * 10_000, 10_000)
    assert not has_more_values(json.dumps({"prompt": [[5] * 2_048] * 32}).encode(), 10_000)
