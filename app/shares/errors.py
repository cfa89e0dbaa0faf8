"""What can go wrong with a share. Messages are sentences for the user."""

from __future__ import annotations


class ShareError(Exception):
    """Something about a share that the user can be told."""


class ShareRefused(ShareError):
    """What was asked for is not allowed: too large, too much, with the wrong secret."""


class TooOften(ShareRefused):
    """More than the rate limit allows."""


class ShareMissing(ShareError):
    """There is no such share, or no longer, or it is hidden."""


class StoreUnavailable(ShareError):
    """The database did not do what it was asked for; nothing was changed."""


class DatabaseUnusable(ShareError):
    """The database cannot be opened at start."""
