"""Scores of a revision."""
