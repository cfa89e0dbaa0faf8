"""Licence checks: which installed packages are permissively licensed, and which files state a copyleft licence."""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata

# SPDX identifiers and the free-text spellings found in wheels
_PERMISSIVE = re.compile(
    r"\b(mit|mit-cmu|bsd|0bsd|apache|isc|psf|psfl|zlib|unlicense|hpnd|zpl|bsl-1\.0|python software foundation|"
    r"public domain|cc0|boost)\b",
    re.IGNORECASE,
)
_COPYLEFT = re.compile(r"\b(a?gpl|lgpl|mpl|epl|cddl|eupl|cecill|gnu|mozilla|proprietary|nvidia|cc-by)", re.IGNORECASE)
_COPYLEFT_HEADER = re.compile(
    r"GNU\s+(?:Lesser\s+|Library\s+|Affero\s+)?(?:General|Library)\s+Public\s+Licen[cs]e"
    r"|Mozilla\s+Public\s+License|SPDX-License-Identifier:.*(?:GPL|MPL|EPL|CDDL)",
    re.IGNORECASE,
)


def permissive_licence(metadata: PackageMetadata) -> str | None:
    """The licence that a package states, or None if it states none or one that is not clearly permissive."""
    classifiers = [value for value in metadata.get_all("Classifier") or [] if value.startswith("License ::")]
    stated = metadata["License-Expression"] or " / ".join(c.rsplit("::", 1)[-1].strip() for c in classifiers)
    if not stated:
        # older wheels paste the whole text here; its first line names the licence
        stated = next((line for line in (metadata["License"] or "").splitlines() if line.strip()), "").strip()
    return stated[:80] if is_permissive(stated) else None


def is_permissive(stated: str) -> bool:
    """Whether a licence, as an SPDX expression or in words, is clearly permissive."""
    return bool(_PERMISSIVE.search(stated)) and not _COPYLEFT.search(stated)


def has_copyleft_header(text: str) -> bool:
    """Whether the header of a file states a copyleft licence, whatever its package states."""
    return _COPYLEFT_HEADER.search(text[:4000]) is not None
