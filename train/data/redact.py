"""Redaction: e-mail addresses, IP addresses and keys are replaced by others of their kind (arXiv 2301.03988, section
4.2).
"""

from __future__ import annotations

import hashlib
import random
import string
from collections import Counter
from collections.abc import Iterable

from santacoder.secrets import Secret, find_secrets
from train.data.python_lexer import scan

# the replacements of bigcode-dataset, pii/pii_redaction.py
_IPV4_REPLACEMENTS = ("172.16.31.10", "172.16.58.3", "172.16.17.32", "192.168.127.12", "192.168.3.11")
_IPV6_REPLACEMENTS = (
    "fd00:c2b6:b24b:be67:2827:688d:e6a1:6a3b",
    "fd00:a516:7c1b:17cd:6d81:2137:bd2a:2c5b",
    "fc00:e968:6179::de52:7100",
    "fc00:db20:35b:7399::5",
    "fdf8:f53e:61e4::18",
)
_LETTERS_AND_DIGITS = bytes((string.ascii_lowercase + string.digits).encode()[byte % 36] for byte in range(256))


def redact(text: str, language: str = "") -> tuple[str, dict[str, int]]:
    """Return ``text`` with its secrets replaced, and the number of replacements by kind.

    Replacements depend only on the text, and equal secrets get equal replacements. In Python, secrets are only replaced
    in strings and comments: code that looks like one, such as ``left@right.transpose``, stays, so that a file that
    parses still does.
    """
    secrets = find_secrets(text)
    if secrets and language == "python" and (tokens := scan(text)):
        in_code = tokens.are_in_code([(start, end) for _, start, end in secrets])
        secrets = [secret for secret, skipped in zip(secrets, in_code, strict=True) if not skipped]
    replacements = _replacements(text, secrets)
    pieces, last = [], 0
    for _, start, end in secrets:
        pieces += [text[last:start], replacements[text[start:end]]]
        last = end
    return "".join([*pieces, text[last:]]), dict(Counter(secret.kind for secret in secrets))


def _replacements(text: str, secrets: Iterable[Secret]) -> dict[str, str]:
    """The replacement of each secret, by the secret's text."""
    draw = random.Random(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    replacements: dict[str, str] = {}
    for kind, start, end in secrets:
        value = text[start:end]
        if value in replacements:
            continue
        if kind == "key":
            replacements[value] = draw.randbytes(32).translate(_LETTERS_AND_DIGITS).decode()
        elif kind == "e-mail":
            replacements[value] = "".join(draw.choices(string.ascii_lowercase, k=5)) + "@example.com"
        else:
            replacements[value] = draw.choice(_IPV6_REPLACEMENTS if ":" in value else _IPV4_REPLACEMENTS)
    return replacements
