"""Errors caused by the user's input; each message is a sentence for the user."""


class UserError(ValueError):
    """A request that cannot be fulfilled, or an input that cannot be used.

    A plain ``ValueError`` is a bug: it is logged and reported as an internal error.
    """


class CheckpointError(Exception):
    """A checkpoint that cannot be found or read."""


class AttributionError(Exception):
    """An attribution index that cannot be used."""


class TextNotSearchable(AttributionError, UserError):
    """A text that cannot be looked up in any index."""


class PromptTooLong(UserError):
    """A prompt that does not fit in the context and must not be truncated. Of a long one, ``n_tokens`` counts only the
    part that was encoded."""

    def __init__(self, message: str, n_tokens: int, n_positions: int) -> None:
        super().__init__(message)
        self.n_tokens = n_tokens
        self.n_positions = n_positions


def as_sentence(error: BaseException) -> str:
    """The message of ``error``, or its type if the message is empty, with a full stop."""
    return f"{str(error).rstrip('.') or type(error).__name__}."
