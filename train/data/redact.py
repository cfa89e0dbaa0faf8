"""E-mail addresses, IP addresses and keys are replaced by others of their kind (arXiv 2301.03988, section 4.2).

What counts as a key is decided by detect-secrets with the plugins and checks of bigcode-dataset (``pii/utils``): known
token formats, and quoted strings of high entropy that read like gibberish and are no hashes.
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
import re
import string
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import detect_secrets.filters.gibberish
from detect_secrets.filters import heuristic
from detect_secrets.plugins import (
    artifactory,
    aws,
    azure_storage_key,
    cloudant,
    discord,
    github_token,
    high_entropy_strings,
    ibm_cloud_iam,
    ibm_cos_hmac,
    jwt,
    mailchimp,
    npm,
    sendgrid,
    slack,
    softlayer,
    stripe,
    twilio,
)
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from gibberish_detector.detector import Detector, create_from_model

_EMAIL = re.compile(
    r"(?<![\w.+:/%@-])[\w.+%-]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,18}(?![\w@(/-]|\.\w)"
)
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){0,6}(?![\w:])")
# lines worth the detectors' time: every format they know has a run of sixteen such characters with a digit in it
_MAYBE_KEY = re.compile(r"(?=[A-Za-z+/_=-]*\d)[\w+/=-]{16,}")
_KEY_CHARACTERS = re.compile(r"[\w+/=~.:-]+")
_MIN_KEY_LENGTH = 16
_PLACEHOLDER_DOMAINS = ("@example.com", "@example.org", "@example.net", "@localhost.localdomain")
# the replacements and the name servers of bigcode-dataset, pii/pii_redaction.py
_IPV4_REPLACEMENTS = ("172.16.31.10", "172.16.58.3", "172.16.17.32", "192.168.127.12", "192.168.3.11")
_IPV6_REPLACEMENTS = (
    "fd00:c2b6:b24b:be67:2827:688d:e6a1:6a3b",
    "fd00:a516:7c1b:17cd:6d81:2137:bd2a:2c5b",
    "fc00:e968:6179::de52:7100",
    "fc00:db20:35b:7399::5",
    "fdf8:f53e:61e4::18",
)
_NAME_SERVERS = frozenset(
    """8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 76.76.19.19 76.223.122.150 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220
    8.26.56.26 8.20.247.20 94.140.14.14 94.140.15.15""".split()
)
_GLOBAL_UNICAST = ipaddress.ip_network(
    "2000::/3"
)  # RFC 4291, section 2.4; what else reads like IPv6 is seldom meant so
_DOCUMENTATION = ipaddress.ip_network("2001:db8::/32")  # RFC 3849


def redact(text: str) -> tuple[str, dict[str, int]]:
    """``text`` with replacements in it, and how many of each kind. The same text always gets the same ones, and within
    it the same address the same replacement."""
    draw = random.Random(hashlib.sha256(text.encode("utf-8")).digest())
    replacements: dict[str, str] = {}
    counts: dict[str, int] = {}

    def replace(kind: str, value: str, make: Callable[[], str]) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        if value not in replacements:
            replacements[value] = make()
        return replacements[value]

    def characters(alphabet: str, length: int) -> str:
        return "".join(draw.choices(alphabet, k=length))

    for key in _keys(text):
        occurrences = text.count(key)
        text = text.replace(key, characters(string.ascii_lowercase + string.digits, 32))
        counts["key"] = counts.get("key", 0) + occurrences
    if "@" in text:
        text = _EMAIL.sub(
            lambda match: (
                replace("e-mail", match[0], lambda: characters(string.ascii_lowercase, 5) + "@example.com")
                if is_email(match)
                else match[0]
            ),
            text,
        )
    for pattern, private in ((_IPV4, _IPV4_REPLACEMENTS), (_IPV6, _IPV6_REPLACEMENTS)):
        text = pattern.sub(
            lambda match, private=private: (
                replace("IP address", match[0], lambda: draw.choice(private))  # type: ignore[misc]
                if is_public_address(match)
                else match[0]
            ),
            text,
        )
    return text, counts


def is_email(match: re.Match[str]) -> bool:
    """Whether a match is somebody's: no placeholder, no ``git@host`` of an address to clone from."""
    address = match[0].lower()
    cloned = match.string[match.end() : match.end() + 1] == ":" and address.startswith("git@")
    return not address.endswith(_PLACEHOLDER_DOMAINS) and not cloned


def is_public_address(match: re.Match[str]) -> bool:
    """Whether a match is an address on the internet: valid, not private, no well-known name server, no version."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    if address.version == 6:
        return address in _GLOBAL_UNICAST and address not in _DOCUMENTATION
    if not address.is_global or address.is_multicast or match[0] in _NAME_SERVERS:
        return False
    # four single digits are a version, unless a server is spoken of (bigcode-dataset, filter_versions)
    around = match.string[max(0, match.start() - 100) : match.end() + 100].lower()
    if len(match[0]) == 7:
        return "dns" in around or "server" in around
    before = match.string[max(0, match.start() - 24) : match.start()].lower()
    return re.search(r"version|release|\bv\s*$|oid\b", before) is None


def _keys(text: str) -> list[str]:
    """The different keys in ``text``, in the order of their lines."""
    found: dict[str, None] = {}
    start = 0
    for match in _MAYBE_KEY.finditer(text):
        if match.start() < start:
            continue
        begin = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        start = len(text) if end < 0 else end
        found |= dict.fromkeys(_keys_in_line(text[begin:start]))
    if not found or _speaks_of_hashes(text):
        return []
    return list(found)


def _keys_in_line(line: str) -> Iterator[str]:
    for plugin in _plugins():
        for secret in plugin.analyze_line(filename="", line=line):
            # some patterns give only the beginning of a key, some also what follows it
            start = line.find(secret.secret_value or "\n")
            whole = _KEY_CHARACTERS.match(line, start) if start >= 0 else None
            if whole and len(whole[0]) >= _MIN_KEY_LENGTH and _is_secret(whole[0], line, plugin):
                yield whole[0]


def _is_secret(value: str, line: str, plugin: BasePlugin) -> bool:
    """The checks of bigcode-dataset; a format of its own needs no further proof of being one."""
    if (
        heuristic.is_potential_uuid(value)
        or heuristic.is_likely_id_string(value, line, plugin)
        or heuristic.is_templated_secret(value)
        or heuristic.is_sequential_string(value)
    ):
        return False
    if isinstance(plugin, RegexBasedDetector):
        return True
    if not _gibberish().is_gibberish(value.lower()):
        return False
    before = line[: line.find(value)].lower()
    return len(value) not in (32, 40, 64) or not any(word in before for word in ("sha", "md5", "hash", "byte"))


def _speaks_of_hashes(text: str) -> bool:
    """Whether hashes are what the file is about: the words on more than 2 % of its lines."""
    lowered = text.lower()
    return max(lowered.count("sha"), lowered.count("hash")) > max(1, text.count("\n") // 50)


@lru_cache
def _plugins() -> tuple[BasePlugin, ...]:
    return (
        artifactory.ArtifactoryDetector(),
        aws.AWSKeyDetector(),
        azure_storage_key.AzureStorageKeyDetector(),
        cloudant.CloudantDetector(),
        discord.DiscordBotTokenDetector(),
        github_token.GitHubTokenDetector(),
        ibm_cloud_iam.IbmCloudIamDetector(),
        ibm_cos_hmac.IbmCosHmacDetector(),
        jwt.JwtTokenDetector(),
        mailchimp.MailchimpDetector(),
        npm.NpmDetector(),
        sendgrid.SendGridDetector(),
        slack.SlackDetector(),
        softlayer.SoftlayerDetector(),
        stripe.StripeDetector(),
        twilio.TwilioKeyDetector(),
        high_entropy_strings.Base64HighEntropyString(),
        high_entropy_strings.HexHighEntropyString(),
    )


@lru_cache
def _gibberish() -> Detector:
    """The model that detect-secrets comes with, at detect-secrets' limit."""
    model = Path(detect_secrets.filters.gibberish.__path__[0], "rfc.model")
    return create_from_model(str(model), limit=3.7)
