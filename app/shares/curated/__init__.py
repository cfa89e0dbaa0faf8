"""Shares that come with the repository."""
