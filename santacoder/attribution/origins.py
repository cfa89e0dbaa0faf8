"""Public addresses of sources, and the obligations of their licences."""

from __future__ import annotations

import re
from urllib.parse import quote

from santacoder.attribution.spans import Source

_COMMIT = re.compile(r"[0-9a-f]{40}")
_KEEP_NOTICE = "Keep its copyright notice and the licence's text with what you copy."
# patterns for SPDX expressions and the spellings found in packages; the first match applies
_ASKS = (
    (r"\bAGPL", "Publish the whole program under this licence, even if it only runs on a server."),
    (r"(?<!L)GPL", "Publish the whole program under this licence, with its source."),
    (r"\b(LGPL|MPL|EPL|CDDL)", "Keep what you copy under this licence and publish your changes to it."),
    (r"Apache", "Keep its notices (NOTICE too) and the licence's text with what you copy, and say what you changed."),
    (r"BSD.*4-Clause|BSD-4", f"{_KEEP_NOTICE} Name its authors in advertising."),
    (r"0BSD|CC0|Unlicense|[Pp]ublic [Dd]omain", "It has no conditions; crediting the source is good practice."),
    (r"BSD", f"{_KEEP_NOTICE} Do not advertise with its authors' names."),
    (r"\bPSF|Python Software Foundation|Python-2", f"{_KEEP_NOTICE} Summarise what you changed."),
    (r"\b(MIT|ISC|HPND|X11)\b", _KEEP_NOTICE),
    (r"\b(Zlib|zlib|BSL-1\.0|Boost)", "Keep its notice in copies of the source, and do not claim to have written it."),
    (r"\bZPL|Zope", f"{_KEEP_NOTICE} Say what you changed, and do not use its authors' marks."),
)


def what_it_asks(licence: str) -> str:
    """The obligations of a licence in one sentence. This is not legal advice: the text of the licence applies."""
    for pattern, asks in _ASKS:
        if re.search(pattern, licence):
            return asks
    return "Read the licence of the package before you use this."


def link(source: Source) -> str | None:
    """The public address of the lines, file or package of ``source``, or None if it is unknown."""
    package, version, path = (quote(part) for part in (source.package, source.version, source.path))
    first, last = source.lines
    match source.registry:
        case "cpython":
            return f"https://github.com/python/cpython/blob/v{version}/Lib/{path}#L{first}-L{last}"
        case "pypi":
            return f"https://pypi.org/project/{package}/{version}/"
        case "npm":
            return f"https://www.npmjs.com/package/{quote(source.package, safe='@/')}/v/{version}?activeTab=code"
        case "debian":
            return f"https://sources.debian.org/src/{package}/"
    if source.package.count("/") == 1 and _COMMIT.fullmatch(source.version):
        return f"https://github.com/{package}/blob/{version}/{path}#L{first}-L{last}"
    return None
