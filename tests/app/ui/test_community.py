"""The post about a share to the Community tab of a Space."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from app.ui.sharing.community import discussion_address
from tests.app.shares.generations import generation

PERMALINK = "https://owner-name.hf.space/s/abcdefgh"


def test_outside_a_space_there_is_no_post(monkeypatch: pytest.MonkeyPatch) -> None:
    for space in ("", "no-owner", "a/b/c", "a/b?x=1"):
        monkeypatch.setenv("SPACE_ID", space)
        assert discussion_address("One", [generation("a = ")], 0, PERMALINK) == ""
    monkeypatch.delenv("SPACE_ID")
    assert discussion_address("One", [generation("a = ")], 0, PERMALINK) == ""


def test_a_post_has_prompt_text_revision_and_permalink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/name")
    both = [generation("a = ", texts=("1 & 2\n```",)), generation("a = ", texts=("3",), revision="fim")]
    address = urlsplit(discussion_address("Two & more", both, 0, PERMALINK))
    assert f"{address.scheme}://{address.netloc}{address.path}" == (
        "https://huggingface.co/spaces/owner/name/discussions/new"
    )
    query = parse_qs(address.query)
    assert query["title"] == ["Two & more"]
    (description,) = query["description"]
    assert "```python\na = \n```" in description and "````python\n1 & 2\n```\n````" in description
    assert "santacoder/nano@main**, commit 0123456789ab" in description and "santacoder/nano@fim" in description
    assert description.endswith(PERMALINK)


def test_a_post_of_much_code_has_an_address_that_servers_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/name")
    long = [generation("é𝄞\n" * 20_000, texts=("\u202e" * 9_000,), revision=name) for name in ("a", "b", "c", "d")]
    address = discussion_address("x" * 120, long, 0, PERMALINK)
    assert len(address) <= 6_000 and "abcdefgh" in address and "\u202e" not in address
