"""The languages of the model, and which of them a text or a file is in."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal, get_args

Language = Literal["python", "java", "javascript"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_SUFFIXES: dict[str, Language] = {
    ".py": "python",
    ".pyi": "python",
    ".java": "java",
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx"), "javascript"),
}
# the end of a text tells as much as all of it
_CHARACTERS = 4000
_SIGNS: dict[Language, re.Pattern[str]] = {
    "python": re.compile(
        r"^[ \t]*(?:(?:async )?def \w+|class \w+[^{\n]*:|from [\w.]+ import|import [\w.]+(?: as \w+)?[ \t]*$"
        r"|elif\b|except\b|(?:if|for|while|with|try|else)\b[^{\n]*:[ \t]*$|@\w+|#(?!!))"
        r"|\bself\b|\bNone\b|\bTrue\b|\bFalse\b",
        re.MULTILINE,
    ),
    "java": re.compile(
        r"^[ \t]*(?:package [\w.]+;|import (?:static )?[\w.*]+;|@Override)"
        r"|\b(?:public|private|protected)\b|\bfinal [A-Z]|\b(?:int|boolean|double|long|void|String)\b(?:\[\])? \w"
        r"|\bnew [A-Z]\w*<|\bSystem\.out\b|\bthrows\b",
        re.MULTILINE,
    ),
    "javascript": re.compile(
        r"\b(?:function|const|let|var|typeof|undefined|require)\b|\basync (?:function|\()|=>|===|!=="
        r"|\bmodule\.exports\b|\bconsole\.log\b|`|\bexport (?:default|const)\b",
    ),
}
_PYTHON_ENDS = re.compile(r":[ \t]*$", re.MULTILINE)
_BRACED_ENDS = re.compile(r"[{;][ \t]*$", re.MULTILINE)


def language_of_file(name: str) -> Language | None:
    """By how the name of a file ends; None where that says nothing."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


def plain_language(text: str, otherwise: Language) -> Language:
    """Another language than ``otherwise`` only where nothing in the end of ``text`` speaks for that."""
    counts = _counts(text)
    first, second, *_ = sorted(counts, key=counts.__getitem__, reverse=True)
    ends = _PYTHON_ENDS if first == "python" else _BRACED_ENDS
    is_plain = counts[first] > counts[second] and counts[first] + len(ends.findall(text[-_CHARACTERS:])) > 1
    return first if is_plain and not counts[otherwise] else otherwise


def guess_language(text: str, otherwise: Language = "python") -> Language:
    """The language that most of the signs in the end of ``text`` speak for; ``otherwise`` where none do."""
    counts = _counts(text)
    best = max(counts, key=lambda language: (counts[language], language == otherwise))
    return best if counts[best] else otherwise


def _counts(text: str) -> dict[Language, int]:
    end = text[-_CHARACTERS:]
    return {language: len(sign.findall(end)) for language, sign in _SIGNS.items()}
