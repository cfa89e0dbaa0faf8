"""Each client gets one branch of a split, always the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import parse_settings
from app.split import branch_of, parse_split
from santacoder.errors import UserError


@given(st.text(max_size=8), st.dictionaries(st.text("abc", max_size=3), st.floats(1e-3, 1e3), min_size=1, max_size=4))
def test_always_the_same_branch_in_whatever_order(client: str, weights: dict[str, float]) -> None:
    branch = branch_of(client, weights)
    assert branch in weights
    assert branch_of(client, dict(reversed(weights.items()))) == branch


def test_clients_are_divided_by_weight_and_few_move() -> None:
    clients = [f"client {number}" for number in range(4000)]
    before = {client: branch_of(client, {"main": 3, "fim": 1}) for client in clients}
    share = sum(branch == "fim" for branch in before.values()) / len(clients)
    assert share == pytest.approx(0.25, abs=0.03)
    after = {client: branch_of(client, {"main": 3, "fim": 3}) for client in clients}
    assert all(after[client] == "fim" for client in clients if before[client] == "fim")


def test_as_it_is_written() -> None:
    assert parse_split("") == {}
    assert parse_split("main=50, fim=50") == parse_split("main=50,fim=5e1") == {"main": 50, "fim": 50}
    assert parse_settings(["--split", "main=1,fim=2"]).branches_of_split == {"main": 1, "fim": 2}


@pytest.mark.parametrize(
    "text,message",
    [
        ("main", "'main' is not BRANCH=WEIGHT"),
        ("main=50,fim", "'fim' is not BRANCH=WEIGHT"),
        ("main=50,fim=0", "above 0"),
        ("main=50,fim=nan", "above 0"),
        ("main=50,fim=inf", "above 0"),
        ("main=50,main=50", "named twice"),
        ("main=100", "at least two branches"),
        ("=1,main=1", "'=1' is not"),
    ],
)
def test_bad_splits_are_explained(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=message):
        parse_split(text)
    with pytest.raises(SystemExit):
        parse_settings(["--split", text])
    assert message in capsys.readouterr().err
