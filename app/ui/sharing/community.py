"""Posts about shares to the Community tab of a Space on the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import urlencode

from app.generation.records import MARK, Generation
from app.shares.text_safety import reveal

_SPACE = re.compile(r"[\w.-]+/[\w.-]+")
# longer addresses are refused by some servers and proxies
_LONGEST_ADDRESS = 6_000
_CHARACTERS = (2_000, 1_000, 500, 200, 80, 20)


def discussion_address(title: str, generations: Sequence[Generation], candidate: int, permalink: str) -> str:
    """The address of a new discussion of the Space in which this server runs, filled in with the prompt, what was
    written, the revision and the permalink; empty outside a Space.

    Long code is shortened, so that the address is not too long.
    """
    space = os.environ.get("SPACE_ID", "")
    if not _SPACE.fullmatch(space):
        return ""
    for most in _CHARACTERS:
        description = _description(generations, candidate, permalink, most)
        query = urlencode({"title": reveal(title), "description": description})
        address = f"https://huggingface.co/spaces/{space}/discussions/new?{query}"
        if len(address) <= _LONGEST_ADDRESS:
            break
    return address


def _description(generations: Sequence[Generation], candidate: int, permalink: str, most: int) -> str:
    first = generations[0]
    parts = ["**Prompt**", _block(_end(reveal(MARK.join(first.parts)), most), first.language)]
    for generation in generations:
        texts = [completion.text for completion in generation.candidates[candidate].completions]
        name = f"{reveal(generation.repo_id)}@{reveal(generation.revision)}"
        parts += [
            f"**Written by {name}**, commit {generation.sha[:12]}",
            _block(_beginning(reveal("\n…\n".join(texts)), most), generation.language),
        ]
    return "\n\n".join([*parts, f"Open it in the playground: {permalink}"])


def _block(code: str, language: str) -> str:
    """A fenced block of Markdown, whose fence is longer than any in the code."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[-most:]}"


def _beginning(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
