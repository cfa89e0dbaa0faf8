"""Confidential text that is found before sharing, and its lines."""

from __future__ import annotations

import time

import pytest

from app.shares.secrets_check import Finding, confidential, warning


@pytest.mark.parametrize(
    "line,kind",
    [
        ('password = "hunter2-and-more"', "password"),
        ("db_password: 'correct horse'", "password"),
        ('if (clientSecret === "s3cr3t") {', "password"),
        ('config["api_key"] = "abc"', "password"),
        ("url = 'https://admin:pa55w0rd@internal/path'", "password"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("# by ada@engines.org", "e-mail"),
        ("host = '93.184.216.34'", "IP address"),
        ("GITLAB=glpat-Zx8Kq2LmZ9vBtR4wYc1N", "key"),
    ],
)
def test_it_is_found_in_its_line(line: str, kind: str) -> None:
    assert confidential(f"x = 1\n\n{line}\ny = 2\n") == [Finding(kind, 3)]


@pytest.mark.parametrize("line", ['password = input("Password: ")', "def check(password):", "secret = None", "a@b", ""])
def test_ordinary_lines_are_not(line: str) -> None:
    assert confidential(line) == []


def test_a_warning_names_places_and_not_what_stands_there() -> None:
    sentence = warning(confidential("\n".join(f"# {letter}@engines.org" for letter in "abcdefg")))
    assert "line 1: e-mail" in sentence and "and 2 more" in sentence and "engines" not in sentence


@pytest.mark.parametrize(
    "text",
    ["pwd" * 70_000, "a" * 200_000, "://a:" * 40_000, "pwd='" * 40_000, "x@" + "a-" * 100_000, "secret " * 30_000],
)
def test_no_text_takes_long(text: str) -> None:
    """In one line, which users can send: a quadratic search would take many seconds of processor time."""
    started = time.process_time()
    confidential(text)
    assert time.process_time() - started < 2
