"""JSON lines files cut at any position by a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from santacoder.errors import UserError
from train.json_lines import cut_torn_line, read_json_lines

RECORDS = [{"step": 0, "text": "é\u2028\r"}, {"step": 1, "loss": float("inf")}, {"step": 2}]
WHOLE = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS).encode()


@pytest.mark.parametrize("size", range(0, len(WHOLE) + 1))
def test_whatever_was_cut_off_the_lines_before_are_there_and_others_can_follow(size: int, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(WHOLE[:size])
    left = RECORDS[: WHOLE[:size].count(b"\n")]
    assert read_json_lines(path) == left
    cut_torn_line(path)
    with path.open("a") as file:
        file.write('{"step": 3}\n')
    assert read_json_lines(path) == [*left, {"step": 3}]


@pytest.mark.parametrize("damage", ["{", "3", "\xff", "[" * 100_000])
def test_a_damaged_line_is_refused_or_passed_over(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"step": 0}\n' + damage.encode("latin-1") + b'\n{"step": 2}\n')
    with pytest.raises(UserError, match=r"Line 2 of .*records\.jsonl is damaged"):
        read_json_lines(path)
    assert read_json_lines(path, skip_damaged=True) == [{"step": 0}, {"step": 2}]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_json_lines(tmp_path / "none.jsonl") == []
