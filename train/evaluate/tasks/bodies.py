"""Generated bodies of held-out functions, and whether they parse.

This is not a benchmark of the paper. It is easier than all of those, and can distinguish between very small models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from santacoder.engine.ends.lexer import Lexer
from santacoder.languages import Language
from santacoder.sampling import SamplingParams
from train.evaluate.generate import Prompt

SAMPLING = SamplingParams(max_new_tokens=96, temperature=0)
_PROMPT_CHARACTERS = 1500
_MODIFIERS = frozenset(["public", "protected", "private"])  # of a constructor
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
    body = _up_to_closing_brace(completion, header.language)
    if header.language == "java":
        return f"class {_java_class(header.line)} {{\n{header.line}{body}\n}}\n"
    if re.match(r"\s*(?:export |default |async )*function\b", header.line):
        line = re.sub(r"^\s*(?:export )?(?:default )?", "", header.line)
        return re.sub(r"function(\*?) ?\(", r"function\1 name(", line) + body
    # only a constructor of a derived class may call super
    return f"class Name extends Object {{\n{header.line}{body}\n}}\n"


def _java_class(header: str) -> str:
    """A name for the class around a method. That of a constructor, which has no return type, is the constructor's."""
    *before, name = header.partition("(")[0].split()
    is_constructor = all(word in _MODIFIERS or word.startswith("<") for word in before)
    return name if is_constructor else "Name"


def _python_function(header: str, completion: str) -> str:
    indentation = len(header) - len(header.lstrip())
    lines = _lines(completion)
    inside = lines[:1]  # the rest of the header's line
    for line in lines[1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= indentation:
            break
        inside.append(line)
    is_cut = len(inside) == len(lines) and not completion.endswith("\n")
    if is_cut and any(line.strip() for line in inside[:-1]):
        inside.pop()
    text = "".join([header, *inside])
    return "if True:\n" + text if indentation else text


def _lines(completion: str) -> list[str]:
    """Lines of Python with their line breaks; one inside a string ends no line."""
    tokens = Lexer("python").feed(completion, final=True)
    ends = [token.end for token in tokens if token.kind == "newline"]
    return [completion[start:end] for start, end in pairwise([0, *ends, len(completion)]) if start < end]


def _up_to_closing_brace(completion: str, language: Language) -> str:
    """The body with its closing brace; braces in strings and comments are ignored."""
    whole_lines = completion.rfind("\n") + 1
    depth = depth_of_whole_lines = 1
    for token in Lexer(language).feed(completion, final=True):
        if token.kind != "mark" or token.text not in "{}":
            continue
        depth += 1 if token.text == "{" else -1
        if depth == 0:
            return completion[: token.end]
        if token.start < whole_lines:
            depth_of_whole_lines = depth
    return completion[:whole_lines] + "}" * depth_of_whole_lines
