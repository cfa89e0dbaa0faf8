"""Syntax-aware FIM: the middle is a syntax node, such as a statement, a block or an argument.

A model trained on such gaps learns where to stop (AST-FIM, arXiv 2506.00204; Mellum, arXiv 2510.05788, which keeps gaps
below 700 characters). The text is a part of a file, so the parser must accept fragments: tree-sitter does, Python's
``ast`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module

import numpy as np
from tree_sitter import Language, Node, Parser

_SMALLEST, _LARGEST = 4, 700  # bytes


def node_cuts(text: str, language: str, rng: np.random.Generator) -> tuple[int, int]:
    """Choose the middle of ``text`` and return where it begins and ends.

    The middle is an error-free node or, half of the time, the rest of one from a random position, as after a cursor.
    Larger nodes are likelier. If there is no such node, the middle is the whole text.
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
    """Nodes of suitable size that have children, which excludes single names, numbers and strings."""
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
    """Parse ``text`` and return the root of its syntax tree. Errors are tolerated; positions are UTF-8 bytes."""
    return _parser(language).parse(text.encode("utf-8")).root_node


@lru_cache
def _parser(language: str) -> Parser:
    return Parser(grammar(language))


@lru_cache
def grammar(language: str) -> Language:
    """The tree-sitter grammar of one of the three languages."""
    return Language(import_module(f"tree_sitter_{language}").language())
