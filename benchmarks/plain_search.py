"""Copies found by plain substring search, as a reference for the index's results and speed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from santacoder.attribution import AttributionIndex
from santacoder.attribution.tokens import COMMENT_STYLES, CommentStyle, tokenize

NOT_COMPARED = {"same as plain search, %": float("nan"), "times faster": float("nan")}


def compare(index: AttributionIndex, questions: list[str], language: str = "python") -> dict[str, float]:
    """The percentage of ``questions`` for which plain search finds the same spans, and its time relative to the index;
    files are normalised beforehand.
    """
    style = COMMENT_STYLES[language]
    corpus = b"\0".join([b"", *_normalised_files(index), b""])
    same, seconds_plain, seconds_index = 0, 0.0, 0.0
    for text in questions:
        started = time.perf_counter()
        expected = plain_spans(text, corpus, index.searched.guaranteed_tokens, style)
        seconds_plain += time.perf_counter() - started
        started = time.perf_counter()
        found = [(span.start, span.end) for span in index.find(text, language)]
        seconds_index += time.perf_counter() - started
        same += found == expected
    return {"same as plain search, %": 100 * same / len(questions), "times faster": seconds_plain / seconds_index}


def plain_spans(text: str, corpus: bytes, at_least: int, style: CommentStyle) -> list[tuple[int, int]]:
    """Character spans of the longest runs of ``text`` that occur in ``corpus``, which has normalised tokens between
    NULs.
    """
    content = text.encode()
    tokens = tokenize(content, style)
    words = pieces(text, style)
    spans: list[tuple[int, int]] = []
    end = 0
    for start in range(len(words) - at_least + 1):
        reached = end
        end = max(end, start + at_least - 1)
        while end < len(words) and b"\0".join([b"", *words[start : end + 1], b""]) in corpus:
            end += 1
        if end >= start + at_least and end > reached:
            first, last = int(tokens.starts[start]), int(tokens.ends[end - 1])
            spans.append((len(content[:first].decode()), len(content[:last].decode())))
    return spans


def _normalised_files(index: AttributionIndex) -> Iterator[bytes]:
    """The tokens of every file, each file followed by a token that no text has."""
    assert index.text is not None
    for number in range(index.contents.n_files):
        origin = index.contents.origins[index.contents.files["origin"][number]]
        yield b"\0".join([*pieces(index.text.file(number).decode(), COMMENT_STYLES[origin.language]), b"\1"])


def pieces(text: str, style: CommentStyle) -> list[bytes]:
    """The normalised tokens of a text."""
    content = text.encode()
    tokens = tokenize(content, style)
    return [content[start:end] for start, end in zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)]
