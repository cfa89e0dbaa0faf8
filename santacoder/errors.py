"""What goes wrong with models on disk and on the Hub, and with attribution indexes."""


class CheckpointError(Exception):
    """A checkpoint that cannot be found or read; the message is a sentence for the user."""


class AttributionError(Exception):
    """An attribution index that cannot be used; the message is a sentence for the user."""


class UnaskableText(AttributionError):
    """A text that no index can be asked about."""
