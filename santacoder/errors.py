"""What goes wrong because of what somebody asked for or gave; each message is a sentence for the user."""


class UserError(ValueError):
    """What was asked for cannot be done, or what was given cannot be used.

    A bare ``ValueError`` is a fault of ours: it is logged, and told as one.
    """


class CheckpointError(Exception):
    """A checkpoint that cannot be found or read."""


class AttributionError(Exception):
    """An attribution index that cannot be used."""


class UnaskableText(AttributionError):
    """A text that no index can be asked about."""


class PromptTooLong(UserError):
    """A prompt that does not fit the context, and is not to be cut."""


def as_sentence(error: BaseException) -> str:
    """What ``error`` says, or its name where it says nothing, with a full stop."""
    return f"{str(error).rstrip('.') or type(error).__name__}."
