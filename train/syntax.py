"""Gaps that are syntax nodes: a statement, a block, an argument, and not what happens to lie between two characters.

A model that has learned to fill such gaps knows where to stop (AST-FIM, arXiv 2506.00204; Mellum, arXiv 2510.05788,
which keeps gaps below 700 characters). What is cut up are parts of files, so that the parser has to put up with
fragments: tree-sitter does, Python's ``ast`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module

import numpy as np
from tree_sitter import Language, Node, Parser

_SMALLEST, _LARGEST = 4, 700  # bytes


def node_cuts(text: str, language: str, rng: np.random.Generator) -> tuple[int, int]:
    """Where the middle of ``text`` begins and ends: around a node that was read without an error, or, half of the time,
    around the rest of one, as behind a cursor. Larger nodes are likelier than small ones.

    All of the text where it has no such node.
    """
    source = text.encode("utf-8")
    nodes = list(_nodes(parse(text, language)))
    if not nodes:
        return 0, len(text)
    weights = np.sqrt([node.end_byte - node.start_byte for node in nodes])
    node = nodes[rng.choice(len(nodes), p=weights / weights.sum())]
    low = len(source[: node.start_byte].decode("utf-8"))
    high = low + len(source[node.start_byte : node.end_byte].decode("utf-8"))
    return int(rng.integers(low, high)) if rng.integers(2) else low, high


def _nodes(root: Node) -> Iterator[Node]:
    """The nodes of a size worth filling in, with parts of their own: no single names, numbers or strings."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        size = node.end_byte - node.start_byte
        if size < _SMALLEST:
            continue
        waiting += node.named_children
        if node is not root and size <= _LARGEST and node.named_child_count and not node.has_error:
            yield node


def parse(text: str, language: str) -> Node:
    """The root of the syntax tree of ``text``, whatever errors are in it; positions are bytes in UTF-8."""
    return _parser(language).parse(text.encode("utf-8")).root_node


@lru_cache
def _parser(language: str) -> Parser:
    return Parser(grammar(language))


@lru_cache
def grammar(language: str) -> Language:
    """That of one of the three languages."""
    return Language(import_module(f"tree_sitter_{language}").language())
