"""Evaluation of a revision."""
