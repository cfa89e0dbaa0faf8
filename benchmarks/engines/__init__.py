"""Comparisons of engines with one set of weights."""
