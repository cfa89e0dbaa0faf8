"""Attribution: finds verbatim copies of training files in a text, with an index of the files (docs/attribution.md)."""

from santacoder.attribution.query import AttributionIndex
from santacoder.attribution.shards import Shards
from santacoder.attribution.spans import Searched, Source, Span

__all__ = ["AttributionIndex", "Searched", "Shards", "Source", "Span"]
