"""Windows line ends: the model reads and writes LF; a client that sends CRLF gets CRLF back."""

from __future__ import annotations


def to_lf(text: str) -> str:
    return text.replace("\r\n", "\n")


def uses_crlf(prefix: str, suffix: str = "") -> bool:
    """Whether the line end nearest to the gap is CRLF: the last of ``prefix``, or else the first of ``suffix``."""
    text, position = (prefix, prefix.rfind("\n")) if "\n" in prefix else (suffix, suffix.find("\n"))
    return position > 0 and text[position - 1] == "\r"


def is_uniform(text: str) -> bool:
    """Whether all line ends of ``text`` are the same, so that converting it to LF loses nothing."""
    return text.count("\r\n") in (0, text.count("\n"))


class CrlfWriter:
    """Converts every LF of a streamed text to CRLF, unless it already has a CR."""

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, text: str) -> str:
        if not text:
            return text
        written = text.replace("\r\n", "\n").replace("\n", "\r\n")
        if self._after_cr and text[0] == "\n":
            written = written[1:]
        self._after_cr = text[-1] == "\r"
        return written

    def peek(self, text: str) -> str:
        """What ``feed`` would return, without changing the state."""
        after_cr = self._after_cr
        written = self.feed(text)
        self._after_cr = after_cr
        return written
