"""Where a text came from: verbatim stretches, looked up in an index of training files (docs/attribution.md)."""

from santacoder.attribution.query import AttributionIndex, Source, Span

__all__ = ["AttributionIndex", "Source", "Span"]
