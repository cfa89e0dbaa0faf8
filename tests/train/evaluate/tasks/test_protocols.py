"""Published protocols request whole texts: their requests have none of the page's options for ending texts."""

from __future__ import annotations

import pytest

from santacoder.engine.ends.text_end import TextEnd
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from train.evaluate.results import published
from train.evaluate.tasks import bodies, docstrings, infilling, repetition

ALL = [
    value
    for module in (bodies, docstrings, infilling, published, repetition)
    for value in vars(module).values()
    if isinstance(value, SamplingParams)
]


@pytest.mark.parametrize("sampling", ALL)
@pytest.mark.parametrize("suffix", [None, "\nreturn x\n"])
def test_a_protocol_has_its_texts_whole(sampling: SamplingParams, suffix: str | None) -> None:
    assert (sampling.stop_at, sampling.stop_repetition) == ("none", False)
    end = TextEnd(CompletionRequest("def f(x):", suffix, sampling))
    text = "x = 1\n" * 5 + "\n\ndef g():\n    pass\nreturn x\n"
    assert "".join(end.feed(ord(character), character)[0] for character in text) + end.finish("") == text


def test_there_are_protocols() -> None:
    assert len(ALL) >= 4
