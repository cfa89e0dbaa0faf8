"""The rules of the original's redaction (bigcode-dataset, ``pii/``), reimplemented for comparison.

E-mail addresses are delimited by white space, brackets, quotes, some punctuation or Han letters, and contain neither
``/`` nor ``#``. IP addresses have the same delimiters. Keys are what detect-secrets finds, if gibberish-detector agrees
and they are not hashes.
"""

from __future__ import annotations

import ipaddress
import re
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
from gibberish_detector.detector import Detector, create_from_model

_HAN = "\u4e00-\u9fff\u3400-\u4dbf"
_EMAIL = re.compile(
    rf"""(?:^|(?<=[\s@,?!;'"(\[{{<:.{_HAN}])|(?<=\\['"]))"""
    rf"""((?:[^\[\](){{}}<>\s@,?!;'":#/\\=.-]|[=.-](?![.@]))+"""
    rf"""@(?:(?:\w|[^.\s@?!;,/()>:-][^.\s@?!;,/()>]{{0,62}}[^.\s@?!;,/()>:'"-])\.){{1,10}}(?:[^\W\d_]{{2,63}}|xn--\w+))"""
    rf"""(?=$|[\])}}>\s@,?!;'"{_HAN}]|\\['"]|:(?!\d)|\.(?!\S))""",
    re.MULTILINE,
)
_IP = re.compile(rf"(?:^|(?<=[\s@?,!;:'\")(.{_HAN}]))([0-9A-Fa-f:.]{{3,39}})(?=$|[\s@,?!;:'\"(.{_HAN}])", re.MULTILINE)


def found(text: str) -> list[str]:
    """The spans that would be replaced in ``text``."""
    emails = [match[1] for match in _EMAIL.finditer(text)]
    return emails + [match[1] for match in _IP.finditer(text) if _is_address(match, text)] + _keys(text)


def _is_address(match: re.Match[str], text: str) -> bool:
    value = match[1]
    around = text[max(0, match.start() - 100) : match.end() + 100].lower()
    if len(value) == 7 and value.count(".") == 3 and "dns" not in around and "server" not in around:
        return False
    try:
        # private addresses and name servers are left out when they would be replaced
        return ipaddress.ip_address(value).is_global and value not in ("8.8.8.8", "1.1.1.1")
    except ValueError:
        return False


def _keys(text: str) -> list[str]:
    values = [
        secret.secret_value
        for line in text.splitlines()
        for plugin in _plugins()
        for secret in plugin.analyze_line(filename="", line=line)
        if not heuristic.is_potential_uuid(secret.secret_value)
        and not heuristic.is_likely_id_string(secret.secret_value, line, plugin)
        and not heuristic.is_templated_secret(secret.secret_value)
        and not heuristic.is_sequential_string(secret.secret_value)
    ]
    return [value for value in values if _detector().is_gibberish(value.lower()) and not _is_hash(value, text)]


def _is_hash(value: str, text: str) -> bool:
    before = text[: text.index(value)].splitlines()[-1].lower()
    limit = int(0.02 * text.count("\n"))
    lowered = text.lower()
    return (len(value) in (32, 40, 64) and any(word in before for word in ("sha", "md5", "hash", "byte"))) or (
        lowered.count("sha") > limit or lowered.count("hash") > limit
    )


@lru_cache
def _plugins() -> list:  # type: ignore[type-arg]
    return [
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
    ]


@lru_cache
def _detector() -> Detector:
    """The original trained it on ``big.txt``; detect-secrets' model was trained on another text, with its own limit."""
    model = Path(detect_secrets.filters.gibberish.__path__[0], "rfc.model")
    return create_from_model(str(model), limit=3.7)
