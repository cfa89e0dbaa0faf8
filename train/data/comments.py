"""The fraction of a file that is comments, counted like the paper's filter (bigcode-dataset, preprocessing)."""

from __future__ import annotations

from train.data.python_lexer import docstring_length, scan
from train.data.slash_comments import comment_length


def comment_fraction(text: str, language: str) -> float:
    """Characters of comments (in Python, of docstrings too) as a fraction of the file's characters."""
    if not text:
        return 0.0
    count = _python_comments(text) if language == "python" else comment_length(text, language)
    return count / len(text)


def _python_comments(text: str) -> int:
    """Characters of comments without their leading ``#``, and of docstrings as ``ast`` cleans them.

    As in the reference, a file that cannot be tokenised counts 0. Unlike the reference, docstrings also count in files
    that this Python cannot parse.
    """
    tokens = scan(text)
    if tokens is None:
        return 0
    hashes = sum(len(text[start:end].lstrip("#")) for start, end in tokens.comments)
    return hashes + sum(docstring_length(text, start, end) for start, end in tokens.docstrings)
