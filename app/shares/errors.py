"""Errors of shares. Messages are for the user."""

from __future__ import annotations


class ShareError(Exception):
    """An error with a share; the message is for the user."""


class ShareRefused(ShareError):
    """The request is not allowed: too large, too many, or with the wrong secret."""


class TooOften(ShareRefused):
    """More than the rate limit allows."""


class ShareMissing(ShareError):
    """The share does not exist, was deleted, or is hidden."""


class StoreUnavailable(ShareError):
    """The database failed; nothing was changed."""


class DatabaseUnusable(ShareError):
    """The database cannot be opened at start."""
