"""Detection of personal data and secrets in a text: e-mail addresses, public IP addresses and keys.

Every search is linear in the length of the text: patterns cannot backtrack, and the inspected context of each candidate
is bounded.
"""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterator
from typing import Literal, NamedTuple

from santacoder.secret_keys import find_keys
from santacoder.text_boundaries import begins_word, without_escape

SecretKind = Literal["key", "e-mail", "IP address"]


class Secret(NamedTuple):
    """A secret: ``text[start:end]`` is of the given ``kind``."""

    kind: SecretKind
    start: int
    end: int


def find_secrets(text: str) -> list[Secret]:
    """All secrets in ``text``, in order and without overlaps."""
    found: list[Secret] = []
    taken = bytearray(len(text))
    for kind, spans in (("key", find_keys(text)), ("e-mail", find_emails(text)), ("IP address", find_addresses(text))):
        for start, end in spans:
            if taken.find(1, start, end) < 0:
                taken[start:end] = b"\1" * (end - start)
                found.append(Secret(kind, start, end))  # type: ignore[arg-type]
    return sorted(found, key=lambda secret: secret.start)


# RFC 5321, section 4.5.3.1: a local part has at most 64 octets, a label (RFC 1035) at most 63
_MAX_LOCAL = 64
_UNSPACED_SCRIPTS = "\u0530"  # Latin, Greek and Cyrillic come before; the scripts after it do not need spaces
_LOCAL = string.ascii_letters + string.digits + "_.+%-"
_LOCAL_IN_ANY_SCRIPT = _LOCAL + "".join(map(chr, range(0x80, ord(_UNSPACED_SCRIPTS))))
_AT_DOMAIN = re.compile(
    r"@(?:(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,18}|(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,18})"
    rf"(?![@(/_-]|\.?(?![{_UNSPACED_SCRIPTS}-\U0010ffff])[^\W_])"  # what follows does not continue the domain
)
_CREDENTIALS_OF_A_URL = re.compile(r"://[^\s/@]*:$")
_PLACEHOLDER_DOMAINS = ("@example.com", "@example.org", "@example.net", "@localhost.localdomain")
# icon@2x.png is an image, react@next.js is a file of a package
_FILE_ENDINGS = frozenset("css gif html java jpeg jpg js json jsx min png svg ts tsx txt webp xml yaml yml".split())


def find_emails(text: str) -> Iterator[tuple[int, int]]:
    """Spans of e-mail addresses, except placeholders and hosts in clone URLs."""
    for found in _AT_DOMAIN.finditer(text):
        at, end = found.span()
        start = _start_of_local_part(text, at)
        if start < at and _is_email(text, start, end):
            yield start, end


def _start_of_local_part(text: str, at: int) -> int:
    """The start of the local part before the ``@`` at ``at``; ``at`` itself if there is none."""
    lowest = max(0, at - _MAX_LOCAL)
    before = text[lowest:at]
    first = lowest + len(before.rstrip(_LOCAL if before.isascii() else _LOCAL_IN_ANY_SCRIPT))
    if first == at:  # a name in another script
        while first > lowest and text[first - 1].isalnum():
            first -= 1
    if first == lowest > 0:
        return at
    start = without_escape(text, first, at)
    return at - len(text[start:at].lstrip(".+%-"))


def _is_email(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 2) : start]
    address = text[start:end].lower()
    if before.endswith("@") or (before.endswith("/") and (before != "//" or text[max(0, start - 3) : start] == "://")):
        return False
    if before.endswith(":") and _CREDENTIALS_OF_A_URL.search(text[max(0, start - 100) : start].rpartition(" ")[2]):
        return False
    cloned = text[end : end + 1] == ":" and address.startswith("git@")
    return not (cloned or address.endswith(_PLACEHOLDER_DOMAINS) or address.rpartition(".")[2] in _FILE_ENDINGS)


_IPV4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![A-Za-z0-9_-]|\.\w)")
_IPV6 = re.compile(r"[0-9A-Fa-f:]{6,}")
_MAX_IPV6 = 39  # characters
# name servers of bigcode-dataset, pii/pii_redaction.py
_NAME_SERVERS = frozenset(
    """8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 76.76.19.19 76.223.122.150 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220
    8.26.56.26 8.20.247.20 94.140.14.14 94.140.15.15""".split()
)
# RFC 4291, section 2.4; other text that looks like IPv6 rarely is
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("2001:db8::/32")  # RFC 3849
_VERSION = re.compile(r"version|release|\bv\s*$|oid\b")


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Spans of public IP addresses: valid, not private, not well-known name servers, not version numbers."""
    for found in _IPV4.finditer(text):
        if begins_word(text, found.start(), "_.-") and _is_public_ipv4(text, *found.span()):
            yield found.span()
    if "::" in text or text.count(":") >= 7:
        for found in _IPV6.finditer(text):
            start = without_escape(text, *found.span())
            end = found.end() - (found[0].endswith(":") and not found[0].endswith("::"))
            if (
                begins_word(text, start, "_.")
                and not _is_ascii_word(text[end : end + 1])
                and _is_public_ipv6(text[start:end])
            ):
                yield start, end


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def _is_public_ipv4(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or value in _NAME_SERVERS:
        return False
    # four single digits are a version, unless the context mentions a server (bigcode-dataset, filter_versions)
    if len(value) == 7:
        around = text[max(0, start - 100) : end + 100].lower()
        return "dns" in around or "server" in around
    return _VERSION.search(text[max(0, start - 24) : start].lower()) is None


def _is_public_ipv6(value: str) -> bool:
    """Whether it is an address and not a slice such as ``[2000::2]``: it has a letter or at least three groups."""
    if len(value) > _MAX_IPV6 or not (value.count(":") > 2 or any(digit.isalpha() for digit in value)):
        return False
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return address in _GLOBAL_UNICAST and address not in _DOCUMENTATION
