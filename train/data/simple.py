"""A filter for models of a few million parameters: short functions, common words, few literals, no tables, no tests.

Small models write coherent text if their training data is narrow (Eldan and Li, TinyStories, arXiv 2305.07759). The
thresholds are our own; each is a constant below, and the report shows what they removed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from tree_sitter import Node, Query, QueryCursor

from train.data.limited_process import LimitedProcess
from train.data.source_file import SourceFile
from train.data.syntax import grammar, parse

LONGEST_FUNCTION = 60  # lines, without the docstring
MEAN_FUNCTION = 25
LITERALS = 0.2  # fraction of the characters
TABLE = 24  # literals in one list or mapping
COMMON_WORDS = 6000
UNCOMMON = 0.15  # fraction of the words
# The parser's time and memory grow quadratically for a text without the end of an expression: tree-sitter-java takes 3
# s and 0.9 GB for 5 kB of "a=/". A megabyte of ordinary code takes 0.7 s.
_SECONDS, _ROOM = 1.5, 2 << 30
_PARSED_HERE = 2_000  # characters that are parsed in this process, which takes half a second at most

TOO_LONG_TO_READ = "syntax that takes too long to read"

# by the conventions of pytest, Maven and JavaScript's test runners
_TEST_PATH = re.compile(
    r"(^|/)(tests?|specs?|__tests__)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$|Tests?\.java$|[.-](test|spec)\.[cm]?js$"
)
_WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}")
# a literal that is a statement of its own is a docstring or similar
_QUERIES = {
    "python": """
        (function_definition) @function
        [(string) (integer) (float)] @literal
        (expression_statement [(string) (integer) (float)] @statement)
        [(list) (tuple) (dictionary) (set)] @table
    """,
    "java": """
        [(method_declaration) (constructor_declaration)] @function
        [(string_literal) (character_literal) (decimal_integer_literal) (hex_integer_literal)
         (decimal_floating_point_literal)] @literal
        (array_initializer) @table
    """,
    "javascript": """
        [(function_declaration) (method_definition) (function_expression) (arrow_function)
         (generator_function_declaration)] @function
        [(string) (number) (template_string) (regex)] @literal
        (expression_statement [(string) (number) (template_string) (regex)] @statement)
        [(array) (object)] @table
    """,
}
_LITERALS = {
    "string", "integer", "float", "string_literal", "character_literal", "decimal_integer_literal", "number",
    "hex_integer_literal", "decimal_floating_point_literal", "pair", "unary_operator", "unary_expression", "array",
    "list", "tuple",
}  # fmt: skip


class Shape(NamedTuple):
    """Measurements of a file's syntax tree, without docstrings."""

    function_lines: list[int]
    has_table: bool
    literal_bytes: int


def not_simple(files: Sequence[SourceFile], words: Collection[str]) -> list[str | None]:
    """Remove tests and files with long functions, uncommon words or mostly data; ``words`` are the common ones, in
    lower case.
    """
    return [_problem(file, words) for file in files]


def common_words(files: Iterable[SourceFile], count: int = COMMON_WORDS) -> list[str]:
    """The words that most packages use, in lower case, most common first.

    Names are split where their case changes. Packages are counted, so a large package cannot make its own words common.
    """
    packages: dict[str, set[str]] = {}
    for file in files:
        packages.setdefault(file.package, set()).update(_words(file.text))
    used = Counter(word for words in packages.values() for word in words)
    return [word for word, _ in sorted(used.items(), key=lambda item: (-item[1], item[0]))[:count]]


def _problem(file: SourceFile, words: Collection[str]) -> str | None:
    if _TEST_PATH.search(file.path):
        return "a test"
    shape = (_shape if len(file.text) <= _PARSED_HERE else _shape_apart())(file.text, file.language)
    if shape is None:
        return TOO_LONG_TO_READ
    lengths = shape.function_lines
    if not lengths:
        return "no function"
    if max(lengths) > LONGEST_FUNCTION or sum(lengths) > MEAN_FUNCTION * len(lengths):
        return "long functions"
    if shape.has_table:
        return "a table of data"
    if shape.literal_bytes > LITERALS * len(file.text.encode("utf-8")):
        return "mostly literals"
    used = _words(file.text)
    if sum(word not in words for word in used) > UNCOMMON * len(used):
        return "uncommon words"
    return None


@lru_cache
def _shape_apart() -> LimitedProcess[Shape]:
    return LimitedProcess(_shape, seconds=_SECONDS, room=_ROOM)


def _shape(text: str, language: str) -> Shape:
    found = QueryCursor(_query(language)).captures(parse(text, language))
    return Shape(
        [_lines(node) - _docstring_lines(node) for node in found.get("function", [])],
        any(_is_table(node) for node in found.get("table", [])),
        _bytes(found.get("literal", [])) - _bytes(found.get("statement", [])),
    )


def _lines(node: Node) -> int:
    return node.end_point.row - node.start_point.row + 1


def _docstring_lines(function: Node) -> int:
    body = function.child_by_field_name("body")
    if body is None or not body.named_child_count:
        return 0
    first = body.named_children[0]
    is_docstring = first.type == "expression_statement" and [child.type for child in first.named_children] == ["string"]
    return _lines(first) if is_docstring else 0


def _is_table(node: Node) -> bool:
    return sum(child.type in _LITERALS for child in node.named_children) >= TABLE


def _bytes(nodes: Iterable[Node]) -> int:
    return sum(node.end_byte - node.start_byte for node in nodes)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


@lru_cache
def _query(language: str) -> Query:
    return Query(grammar(language), _QUERIES[language])
