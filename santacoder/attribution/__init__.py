"""Where a text came from: verbatim stretches, looked up in an index of training files (docs/attribution.md)."""

from santacoder.attribution.query import AttributionIndex
from santacoder.attribution.shards import Shards
from santacoder.attribution.spans import Searched, Source, Span

__all__ = ["AttributionIndex", "Searched", "Shards", "Source", "Span"]
