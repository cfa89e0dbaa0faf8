"""Shares: generations with a permalink, and the gallery of them."""
