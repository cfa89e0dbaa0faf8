"""How much of a file is comment, as the paper's filter counts it (bigcode-dataset, preprocessing)."""

from __future__ import annotations

from train.data.python_lexer import docstring_length, scan
from train.data.slash_comments import comment_length


def comment_fraction(text: str, language: str) -> float:
    """Characters of comments (in Python, docstrings too) by characters of the file."""
    if not text:
        return 0.0
    count = _python_comments(text) if language == "python" else comment_length(text, language)
    return count / len(text)


def _python_comments(text: str) -> int:
    """Comments without their leading ``#``, and docstrings as ``ast`` cleans them. A file that cannot be tokenised has
    none, as in the reference; one of another Python has its docstrings counted too, which the reference cannot read."""
    tokens = scan(text)
    if tokens is None:
        return 0
    hashes = sum(len(text[start:end].lstrip("#")) for start, end in tokens.comments)
    return hashes + sum(docstring_length(text, start, end) for start, end in tokens.docstrings)
