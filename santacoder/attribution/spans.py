"""What is found in a text: spans of it, and the files in which each stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SOURCES = 8
BOILERPLATE_FILES = 100


@dataclass(frozen=True)
class Source:
    """Where a stretch stands: ``lines`` are numbered from 1, the last included; ``file`` is its number in the index,
    and ``shard`` that of the index, where there are several. With ``renamed``, other names stand there."""

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
    """Characters ``start`` to before ``end`` of the text that was asked about, which are ``tokens`` tokens.

    ``sources`` are up to eight of the files that hold them, those that share most with the text around it first; of one
    file, one place. ``files`` is in how many files they stand, at most, by their fingerprints. A span that
    is not ``confirmed`` comes from the fingerprints of a compact index alone: it may reach further, and lines are those
    of the anchors around.
    """

    start: int
    end: int
    tokens: int
    sources: tuple[Source, ...]
    files: int
    confirmed: bool

    @property
    def boilerplate(self) -> bool:
        """Whether so many files have it that it says little about where the text came from."""
        return self.files >= BOILERPLATE_FILES


@dataclass(frozen=True)
class Searched:
    """What an index was asked about: its files, and from how many tokens on a run is found for sure."""

    files: int
    bytes: int
    packages: int
    languages: tuple[str, ...]
    guaranteed_tokens: int
    confirmed: bool


def outermost(spans: Iterable[Span]) -> list[Span]:
    """``spans`` in the order of the text, without those within another."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not found or span.end > found[-1].end:
            found.append(span)
    return found


def merged(shards: Iterable[Iterable[Span]]) -> list[Span]:
    """The spans of several indexes as if they were one."""
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
