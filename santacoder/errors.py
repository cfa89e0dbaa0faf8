"""What goes wrong with models on disk and on the Hub."""


class CheckpointError(Exception):
    """A checkpoint that cannot be found or read; the message is a sentence for the user."""
