"""Possibly confidential text (keys, passwords, addresses), with line numbers."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from santacoder.secrets import find_secrets

# lengths are bounded, so the time is linear in the text
_ADVISORY = {
    "password": re.compile(
        # a quoted text that a name like this is given, or compared with
        r"""(?i:passw(?:or)?d|pwd|secret|(?:api|auth|service|account|db|database|priv|private|client)_?key|db_?pass)"""
        r"""\w{0,40}["'\]]{0,2}\s{0,4}(?:=>|[:=!]={0,2})\s{0,4}(["'`])[^"'`\s][^"'`\n]{0,200}\1"""
        # a password in an address
        r"""|://[^\s/?#@:"'`]{1,100}:[^\s/?#@:"'`]{1,100}@"""
    ),
    "private key": re.compile(
        r"BEGIN (?:DSA |EC |OPENSSH |PGP |RSA |SSH2 ENCRYPTED |ENCRYPTED )?PRIVATE KEY|PuTTY-User-Key-File-2"
    ),
}


class Finding(NamedTuple):
    """A finding of a ``kind`` in a ``line``, counted from 1."""

    kind: str
    line: int


def confidential(text: str) -> list[Finding]:
    """Everything that training would redact, and likely passwords. It finds common forms, not everything."""
    places = [(secret.start, str(secret.kind)) for secret in find_secrets(text)]
    places += [(found.start(), kind) for kind, pattern in _ADVISORY.items() for found in pattern.finditer(text)]
    ends = [end.start() for end in re.finditer("\n", text)]
    return list(dict.fromkeys(Finding(kind, bisect_right(ends, start - 1) + 1) for start, kind in sorted(places)))


def warning(findings: list[Finding]) -> str:
    """A sentence about the findings, which does not quote them."""
    places = ", ".join(f"line {line}: {kind}" for kind, line in findings[:5])
    more = f" and {len(findings) - 5} more" if len(findings) > 5 else ""
    return (
        f"This looks like something private ({places}{more}). "
        "A share can be read by everybody, and copied before you delete it."
    )
