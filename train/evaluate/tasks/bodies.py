"""Generated bodies of held-out functions, and whether they parse.

This is not a benchmark of the paper. It is easier than all of those, and can distinguish between very small models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from santacoder.languages import Language
from santacoder.sampling import SamplingParams
from train.evaluate.generate import Prompt

SAMPLING = SamplingParams(max_new_tokens=96, temperature=0)
_PROMPT_CHARACTERS = 1500
_STATEMENTS = r"(?!\s*(?:if|for|while|switch|catch|else|try|do|return|new|synchronized|with|throw|function)\b)"
_HEADERS: dict[Language, re.Pattern[str]] = {
    "python": re.compile(r"^[ \t]*(?:async )?def \w+\([^()]*\)(?: *-> *[^:\n]+)?:$"),
    "java": re.compile(rf"^{_STATEMENTS}\s+(?:[\w<>\[\],.?]+\s+)+\w+\([^(){{}};]*\)(?:\s*throws [\w, .]+)?\s*\{{$"),
    "javascript": re.compile(
        rf"^(?:\s*(?:export )?(?:default )?(?:async )?function\*? ?\w*|{_STATEMENTS}\s+(?:static |async )*\w+)"
        r"\([^(){};]*\)\s*\{$"
    ),
}


@dataclass(frozen=True)
class Header:
    """The first line of a function, without its newline, and the text before it."""

    name: str
    language: Language
    before: str
    line: str

    @property
    def prompt(self) -> Prompt:
        # without the newline, which shares a token with the following indentation
        return Prompt(self.name, (self.before + self.line)[-_PROMPT_CHARACTERS:])


def headers(documents: Sequence[str], language: Language, count: int) -> list[Header]:
    """Choose ``count`` functions of ``documents``, or as many as there are. The choice is deterministic."""
    found = []
    for number, text in enumerate(documents):
        position = 0
        for line in text.splitlines(keepends=True):
            if _HEADERS[language].match(line.rstrip()):
                found.append(Header(f"{number}:{position}", language, text[:position], line.rstrip()))
            position += len(line)
    chosen = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[index] for index in sorted(chosen)]


def function(header: Header, completion: str) -> str:
    """A source file with the function alone: its header and the part of ``completion`` in its body.

    A body that is incomplete at the token limit is cut after its last complete line and closed.
    """
    if header.language == "python":
        return _python_function(header.line, completion)
    body = header.line + _up_to_closing_brace(completion)
    is_function = re.match(r"\s*(?:export |default |async )*function\b", header.line)
    if header.language == "javascript" and is_function:
        return re.sub(r"^\s*(?:export )?(?:default )?", "", body).replace("function(", "function name(", 1)
    return f"class Name {{\n{body}\n}}\n"


def _python_function(header: str, completion: str) -> str:
    indentation = len(header) - len(header.lstrip())
    lines = completion.splitlines(keepends=True)
    inside = lines[:1]  # the rest of the header's line
    for line in lines[1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= indentation:
            break
        inside.append(line)
    if len(inside) == len(lines) and inside and not inside[-1].endswith("\n"):
        inside.pop()
    text = "".join([header, *inside])
    return "if True:\n" + text if indentation else text


def _up_to_closing_brace(completion: str) -> str:
    """The body with its closing brace; braces in strings and comments are ignored."""
    depth = 1
    for token in re.finditer(
        r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|[{}]", completion, re.DOTALL
    ):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            return completion[: token.end()]
    whole_lines = completion[: completion.rfind("\n") + 1]
    depth = 1 + sum({"{": 1, "}": -1}.get(t, 0) for t in re.findall(r"//[^\n]*|/\*.*?\*/|[{}]", whole_lines, re.DOTALL))
    return whole_lines + "}" * max(0, depth)
