"""How much of a file is comment, as the paper's filter counts it (bigcode-dataset, preprocessing)."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from functools import lru_cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def comment_fraction(text: str, language: str) -> float:
    """Characters of comments (in Python, docstrings too) by characters of the file."""
    if not text:
        return 0.0
    count = _python_comments(text) if language == "python" else _other_comments(text, language)
    return count / len(text)


def _python_comments(text: str) -> int:
    """Comments without their leading ``#``, and docstrings as ``ast`` cleans them. A file that is not this Python's
    counts as far as it can be read, as in the reference."""
    return _python_docstrings(text) + _python_hashes(text)


def _python_docstrings(text: str) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the file's own escapes
            tree = ast.parse(text)
        documented = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    return sum(len(ast.get_docstring(node) or "") for node in documented)


def _python_hashes(text: str) -> int:
    total = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                total += len(token.string.lstrip("#"))
    except (tokenize.TokenError, SyntaxError):
        pass
    return total


def _other_comments(text: str, language: str) -> int:
    tokens = _lexer(language).get_tokens_unprocessed(text)
    return sum(len(value) for _, kind, value in tokens if kind in (Comment.Multiline, Comment.Single))


@lru_cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language)
