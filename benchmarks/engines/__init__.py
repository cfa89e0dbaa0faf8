"""Comparison of inference engines on the same weights."""
