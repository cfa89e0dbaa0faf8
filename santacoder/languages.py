"""The languages of the model, and detection of the language of a text or file."""

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
# the end of a text is as informative as all of it
_CHARACTERS = 4000
_SIGNS: dict[Language, re.Pattern[str]] = {
    "python": re.compile(
        r"^[ \t]*(?:(?:async )?def \w+|class \w+\b[^{\n]*:|from [\w.]+ import|import [\w.]+(?: as \w+)?[ \t]*$"
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
        r"|\bmodule\.exports\b|\bconsole\.log\b|`|\bexport (?:default|const)\b"
        r"|\bconstructor ?\(|\b[gs]et \w+ ?\(\w*\) ?\{",
    ),
}
_PYTHON_ENDS = re.compile(r":[ \t]*$", re.MULTILINE)
_BRACED_ENDS = re.compile(r"[{;][ \t]*$", re.MULTILINE)


def language_of_file(name: str) -> Language | None:
    """The language by a file's extension, or None if it is unknown."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


def plain_language(text: str, otherwise: Language) -> Language:
    """Detect another language than ``otherwise``, but only if nothing in the end of ``text`` indicates
    ``otherwise``.
    """
    counts = _counts(text)
    first, second, *_ = sorted(counts, key=counts.__getitem__, reverse=True)
    ends = _PYTHON_ENDS if first == "python" else _BRACED_ENDS
    is_plain = counts[first] > counts[second] and counts[first] + len(ends.findall(text[-_CHARACTERS:])) > 1
    return first if is_plain and not counts[otherwise] else otherwise


def guess_language(text: str, otherwise: Language = "python") -> Language:
    """The language with the most indications in the end of ``text``, or ``otherwise`` if there are none."""
    counts = _counts(text)
    best = max(counts, key=lambda language: (counts[language], language == otherwise))
    return best if counts[best] else otherwise


def _counts(text: str) -> dict[Language, int]:
    end = text[-_CHARACTERS:]
    return {language: len(sign.findall(end)) for language, sign in _SIGNS.items()}
