"""Query results: spans of a text, and the files in which each occurs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SOURCES = 8
BOILERPLATE_FILES = 100


@dataclass(frozen=True)
class Source:
    """A file in which a span occurs.

    ``lines`` are the first and last line, from 1. ``file`` is the file's number in the index, and ``shard`` the number
    of the index, if there are several. If ``renamed``, the file uses other identifiers.
    """

    package: str
    version: str
    licence: str
    language: str
    registry: str
    path: str
    lines: tuple[int, int]
    renamed: bool
    file: int
    shard: int = 0


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to before ``end`` of the text, which are ``tokens`` tokens long and occur in indexed files.

    ``sources`` are up to eight files that contain the span, those that share most with the surrounding text first, with
    one position each. ``files`` is an upper bound of the number of files that contain it, from the fingerprints. A span
    that is not ``confirmed`` comes from the fingerprints of a compact index: it may be longer in fact, and its lines
    are those of the surrounding anchors.
    """

    start: int
    end: int
    tokens: int
    sources: tuple[Source, ...]
    files: int
    confirmed: bool

    @property
    def boilerplate(self) -> bool:
        """Whether so many files contain the span that it says little about the origin of the text."""
        return self.files >= BOILERPLATE_FILES


@dataclass(frozen=True)
class Searched:
    """The contents of the queried indexes, and the length in tokens from which a run is certain to be found."""

    files: int
    bytes: int
    packages: int
    languages: tuple[str, ...]
    guaranteed_tokens: int
    confirmed: bool


def outermost(spans: Iterable[Span]) -> list[Span]:
    """Sort ``spans`` by position, without those inside other spans."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not found or span.end > found[-1].end:
            found.append(span)
    return found


def merged(shards: Iterable[Iterable[Span]]) -> list[Span]:
    """Merge the spans from several indexes."""
    by_extent: dict[tuple[int, int], Span] = {}
    for number, spans in enumerate(shards):
        for span in spans:
            sources = tuple(replace(source, shard=number) for source in span.sources)
            known = by_extent.get((span.start, span.end))
            if known is None:
                by_extent[span.start, span.end] = replace(span, sources=sources)
            else:
                by_extent[span.start, span.end] = replace(
                    known, sources=(*known.sources, *sources)[:MAX_SOURCES], files=known.files + span.files
                )
    return outermost(by_extent.values())
