"""Reproducible benchmarks, one command each."""
