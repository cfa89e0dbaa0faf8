"""Detection of keys: tokens of known formats, and random-looking strings that are quoted or assigned to a key's name.

The formats are those of detect-secrets that bigcode-dataset uses (``pii/utils/keys_detection.py``), and newer ones.
Strings of high entropy count as keys if they read like gibberish and are not hashes, with the limits of both.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import detect_secrets.filters.gibberish
from detect_secrets.filters import heuristic
from gibberish_detector.detector import Detector, create_from_model

from santacoder.text_boundaries import begins_word

_MIN_LENGTH = 16
_DIGIT = re.compile(r"[0-9]")
# the prefix of each format, and its pattern; lengths are bounded, so that a search is linear
_FORMATS = {
    prefix: re.compile(pattern, re.ASCII)
    for prefixes, pattern in (
        ("AKIA ASIA ABIA ACCA", r"A[A-Z]{3}[0-9A-Z]{16}(?![0-9A-Za-z])"),  # AWS
        ("A3T", r"A3T[A-Z0-9][0-9A-Z]{16}(?![0-9A-Za-z])"),
        ("AKC", r"AKC[A-Za-z0-9]{10,128}(?![0-9A-Za-z])"),  # Artifactory
        ("AIza", r"AIza[\w-]{35}(?![\w-])"),  # Google
        ("AC SK", r"(?:AC|SK)[0-9a-f]{32}(?![0-9A-Za-z])"),  # Twilio
        ("SG.", r"SG\.[\w-]{22}\.[\w-]{43}"),  # SendGrid
        ("ghp_ gho_ ghu_ ghs_ ghr_", r"gh[a-z]_\w{36,255}"),
        ("github_pat_", r"github_pat_\w{22,255}"),
        ("glpat-", r"glpat-[\w-]{20,255}"),
        ("hf_", r"hf_[A-Za-z0-9]{30,40}(?![A-Za-z0-9])"),
        ("npm_", r"npm_[A-Za-z0-9]{36}"),
        ("pypi-AgE", r"pypi-AgE[\w-]{50,255}"),
        ("sk-", r"sk-[\w-]{20,255}"),
        ("sk_live_ rk_live_", r"[sr]k_live_[0-9a-zA-Z]{24,255}"),  # Stripe
        ("xoxa- xoxb- xoxp- xoxo- xoxs- xoxr-", r"xox[a-z]-[0-9]+-[0-9A-Za-z-]{10,255}"),  # Slack
        ("hooks.slack.com/services/T", r"hooks\.slack\.com/services/T\w{4,40}/B\w{4,40}/\w{8,80}"),
        ("softlayer.com/soap/v3", r"softlayer\.com/soap/v3(?:\.1)?/[a-z0-9]{64}"),
        ("AccountKey=", r"AccountKey=[A-Za-z0-9+/=]{88}"),  # Azure
        ("_authToken=", r"_authToken=\s{0,4}[A-Fa-f0-9-]{36}(?![\w-])"),  # npm
        ("eyJ", r"eyJ[\w=-]{8,4096}\.[\w=-]{8,4096}(?:\.[\w.+/=-]{1,4096})?"),  # JSON Web Token
        ("-us", r"-us[0-9]{1,2}(?![\w-])"),  # Mailchimp, after 32 characters
    )
    for prefix in prefixes.split()
}
_PREFIX = re.compile("|".join(map(re.escape, sorted(_FORMATS, key=len, reverse=True))))
_MAILCHIMP = re.compile(r"(?<![0-9A-Za-z])[0-9a-z]{32}$")
_DISCORD = re.compile(r"\.[\w-]{6}\.[\w-]{27}(?![\w-])", re.ASCII)
_DISCORD_START = re.compile(r"(?<![\w-])[MNO][\w-]{23,25}$", re.ASCII)
_WORDS_OF_PLACEHOLDERS = re.compile(r"your|example|placeholder|dummy|xxxx|\*\*\*\*|0000|1234", re.IGNORECASE)


def find_keys(text: str) -> Iterator[tuple[int, int]]:
    """Spans of keys, in order, including every further occurrence of a detected key."""
    spans = sorted({*_of_known_formats(text), *_named(text), *_quoted(text)})
    if spans:
        yield from _occurrences(text, spans)


def _of_known_formats(text: str) -> Iterator[tuple[int, int]]:
    covered = 0
    for found in _PREFIX.finditer(text):
        start = found.start()
        if start < covered:
            continue
        whole = _FORMATS[found[0]].match(text, start)
        if found[0] == "eyJ":  # the run after one possible start of a token is not searched for further starts
            covered = whole.end() if whole else _end_of_run(text, start)
        if not whole:
            continue
        if found[0] == "-us":
            before = _MAILCHIMP.search(text, max(0, start - 33), start)
            if before:
                yield before.start(), whole.end()
        elif _is_token(text, start, whole[0]):
            yield start, whole.end()
            covered = whole.end()
    for found in _DISCORD.finditer(text):
        before = _DISCORD_START.search(text, max(0, found.start() - 27), found.start())
        if before:
            yield before.start(), found.end()


def _end_of_run(text: str, start: int) -> int:
    run = _RUN.match(text, start)
    return run.end() if run else start


_RUN = re.compile(r"[\w=-]+")


def _is_token(text: str, start: int, value: str) -> bool:
    """Whether a match is a real token: not a part of a word, not a placeholder, and random enough."""
    if value.startswith(("hooks.", "softlayer.", "AccountKey", "_auth")):
        return True
    if not begins_word(text, start, "_-"):
        return False
    body = max(re.split(r"[^A-Za-z0-9]", value), key=len)
    if len(body) < 12 and not value.startswith(("SG.", "xox", "AIza", "glpat-", "github_pat_")):
        return False
    if value.startswith("sk-") and not _DIGIT.search(body):
        return False
    return _entropy(value) >= 3 and not _WORDS_OF_PLACEHOLDERS.search(value) and not _is_sequence(body)


_QUOTED = re.compile(r"""(["'`])([A-Za-z0-9+/_=-]{16,})(["'`])""")


def _quoted(text: str) -> Iterator[tuple[int, int]]:
    """Quoted strings that look random, unless the text is about hashes."""
    about_hashes: bool | None = None
    for found in _QUOTED.finditer(text):
        if found[1] == found[3] and looks_random(found[2]) and not _is_named_otherwise(text, found.start(), found[2]):
            if about_hashes is None:
                about_hashes = _speaks_of_hashes(text)
            if about_hashes:
                return
            yield found.span(2)


_NAMED = re.compile(
    r"""(?:[kK](?:ey|EY)|[tT](?:oken|OKEN)|[sS](?:ecret|ECRET)|[pP](?:assword|ASSWORD|wd|WD))"""
    r"""["'\]]{0,2} {0,4}[=:]{1,2} {0,4}["']?([A-Za-z0-9+/_=-]{20,512})(?![\w(.\[])"""
)


def _named(text: str) -> Iterator[tuple[int, int]]:
    """Values, quoted or not, after a name that ends in ``key`` or similar."""
    for found in _NAMED.finditer(text):
        value = found[1]
        mixed = all(any(map(kind, value)) for kind in (str.islower, str.isupper, str.isdigit)) and _entropy(value) > 3.5
        hexadecimal = re.fullmatch(r"[0-9a-f]{24,}", value) and _entropy(value) > 3
        if (
            (mixed or hexadecimal)
            and _reads_like_gibberish(value)
            and not _is_named_otherwise(text, found.start(), value)
        ):
            yield found.span(1)


def looks_random(value: str) -> bool:
    """Whether the entropy of ``value`` is above detect-secrets' limits (4.5 bits per character, 3 for hexadecimal
    digits) and it reads like gibberish. A digit is required, because keys without one are rarer than alphabets.
    """
    if len(value) < _MIN_LENGTH or not _DIGIT.search(value):
        return False
    entropy = _entropy(value)
    hexadecimal = re.fullmatch(r"[0-9A-Fa-f]+", value) is not None
    if value.isdigit():  # numbers are rarely keys: detect-secrets subtracts this
        entropy -= 1.2 / math.log2(len(value))
    return (entropy > 4.5 or (hexadecimal and entropy > 3)) and _reads_like_gibberish(value)


def _reads_like_gibberish(value: str) -> bool:
    return (
        not heuristic.is_potential_uuid(value) and not _is_sequence(value) and _gibberish().is_gibberish(value.lower())
    )


def _is_sequence(value: str) -> bool:
    return heuristic.is_sequential_string(value)


def _entropy(value: str) -> float:
    """Entropy in bits per character."""
    return math.log2(len(value)) - sum([n * math.log2(n) for n in Counter(value).values()]) / len(value)


_ID = re.compile(r"(?:^(?:id|myid|userid)|_id)s?[^a-z0-9]", re.IGNORECASE)
_HASHES = ("sha", "md5", "hash", "byte")


def _is_named_otherwise(text: str, start: int, value: str) -> bool:
    """Whether the line before ``start`` says that the value is an identifier or a hash."""
    line = text[max(text.rfind("\n", max(0, start - 200), start) + 1, start - 200, 0) : start]
    if _ID.search(line):
        return True
    return len(value) in (32, 40, 64) and any(word in line.lower() for word in _HASHES)


def _speaks_of_hashes(text: str) -> bool:
    """Whether the file is about hashes: the words occur on more than 2 % of its lines."""
    lowered = text.lower()
    return max(lowered.count("sha"), lowered.count("hash")) > max(1, text.count("\n") // 50)


def _occurrences(text: str, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """``spans``, and all further occurrences of the same texts, without overlaps; the longest wins if several start at
    the same position.

    Every start of a word is looked up by its first characters, which determine the possible lengths of a key. Of keys
    with the same first characters, only a few lengths are tried, so that the time stays linear.
    """
    keys = {text[start:end] for start, end in spans}
    lengths: dict[str, list[int]] = {}
    for key in sorted(keys, key=len, reverse=True):
        known = lengths.setdefault(key[:_MIN_LENGTH], [])
        if len(key) not in known and len(known) < _MAX_LENGTHS:
            known.append(len(key))
    everywhere = spans + [
        (start, start + length)
        for beginning in _BEGINNING.finditer(text)
        for start in (beginning.start(),)
        for length in lengths.get(beginning[1], ())
        if text[start : start + length] in keys
    ]
    last = 0
    for start, end in sorted(everywhere, key=lambda span: (span[0], -span[1])):
        if start >= last:
            yield start, end
            last = end


_MAX_LENGTHS = 8
_BEGINNING = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=\\[a-z]))(?=([\w+/=.-]{16}))")


@lru_cache
def _gibberish() -> Detector:
    """The model that detect-secrets includes, with detect-secrets' limit."""
    model = Path(detect_secrets.filters.gibberish.__path__[0], "rfc.model")
    return create_from_model(str(model), limit=3.7)
