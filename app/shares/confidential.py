"""What somebody may not want to publish: keys, passwords, addresses, with the lines they stand in."""

from __future__ import annotations

from typing import NamedTuple

from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector

from train.data.redact import redact

_ADVISORY = {
    "password": (KeywordDetector(), BasicAuthDetector()),
    "private key": (PrivateKeyDetector(),),
}


class Finding(NamedTuple):
    """Something of a ``kind`` in a ``line``, counted from 1."""

    kind: str
    line: int


def confidential(text: str) -> list[Finding]:
    """What training would have redacted, and what looks like a password. It finds what is usual, not everything."""
    found: dict[Finding, None] = {}
    redacted = redact(text)[1]
    for number, line in enumerate(text.splitlines(), 1):
        if redacted:  # the whole decides whether there is anything, a line by itself where it is
            found |= {Finding(kind, number): None for kind in redact(line)[1] if kind in redacted}
        for kind, detectors in _ADVISORY.items():
            if any(detector.analyze_line(filename="", line=line) for detector in detectors):
                found[Finding(kind, number)] = None
    return list(found)


def warning(findings: list[Finding]) -> str:
    """A sentence about the findings, without what was found."""
    places = ", ".join(f"line {line}: {kind}" for kind, line in findings[:5])
    more = f" and {len(findings) - 5} more" if len(findings) > 5 else ""
    return (
        f"This looks like something private ({places}{more}). "
        "A share can be read by everybody, and copied before you delete it."
    )
