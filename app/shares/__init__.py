"""Shares: generations that people have given a permalink, and the gallery of them."""
