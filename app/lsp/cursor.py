"""What the code around the cursor says about a suggestion: where it ends, and which word it continues."""

from __future__ import annotations

import re

from santacoder.languages import Language, guess_language
from santacoder.sampling import StopAt

_WORD = re.compile(r"[^\W\d]\w*\Z")
_COMMENT = re.compile(r"(?:#|//|/\*|\*).*")
# a docstring of one line stands between a header and its block
_DOCSTRING = re.compile(r"""[rR]?(?:\"{3}.*\"{3}|'{3}.*'{3})""")
_HEADER = {
    "python": re.compile(
        r"(?:async|class|def|elif|else|except|finally|for|if|match|case|try|while|with)\b.*:\s*(?:#.*)?"
    ),
    "java": re.compile(r".*\{\s*(?://.*)?"),
    "javascript": re.compile(r".*\{\s*(?://.*)?"),
}
_LONGEST_LINE = 500  # characters; a longer line is no header
_LONGEST_WORD = 100


def typed_word(before: str) -> str:
    """The beginning of a word directly before the cursor, which the suggestion continues, or nothing."""
    found = _WORD.search(before[-_LONGEST_WORD:])
    return found[0] if found else ""


def stop_at(before: str, after: str, language: Language | None) -> StopAt:
    """``block`` on an empty line after a header, such as ``def area(w, h):``, and at the end of the header itself;
    otherwise ``line``."""
    if after.split("\n", 1)[0].strip():
        return "line"
    headers = _HEADER[language or guess_language(before)]
    typed = before[before.rfind("\n") + 1 :]
    if typed.strip():
        return "block" if _is_header(typed, headers) else "line"
    for line in reversed(before[: len(before) - len(typed)].splitlines()):
        if not line.strip() or _COMMENT.fullmatch(line.strip()) or _DOCSTRING.fullmatch(line.strip()):
            continue
        return "block" if _is_header(line, headers) else "line"
    return "line"


def _is_header(line: str, headers: re.Pattern[str]) -> bool:
    return len(line) <= _LONGEST_LINE and headers.fullmatch(line.strip()) is not None
