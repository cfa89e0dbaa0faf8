"""Earlier texts of a session, from which further ones are drafted."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder.engine import written_texts
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.prompt_lookup import PromptLookups
from santacoder.engine.request import CompletionRequest
from santacoder.engine.written_texts import CONTEXT, MOST_SESSIONS, TextsBySession, WrittenTexts
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model


@given(st.lists(st.lists(st.integers(0, 2), max_size=30), max_size=12), st.lists(st.integers(0, 2), max_size=8))
def test_the_latest_occurrence_in_the_texts_kept_is_found(texts: list[list[int]], ids: list[int]) -> None:
    written = WrittenTexts()
    with patch.object(written_texts, "MOST_TOKENS", 40):
        for text in texts:
            written.add(text)
    kept: list[list[int]] = []
    for text in reversed(texts):
        if sum(map(len, kept)) + len(text) > 40:
            break
        kept.append(text)
    following = [
        text[end:]
        for text in kept
        for end in range(len(text) - 1, CONTEXT - 1, -1)
        if len(ids) >= CONTEXT and text[end - CONTEXT : end] == ids[-CONTEXT:]
    ]
    found = written.after(ids)
    assert (found is None) == (not following)
    if found is not None:
        text, end = found
        assert text[end:] == following[0]


def test_what_was_written_last_is_kept_of_so_many_tokens_and_clients() -> None:
    texts = TextsBySession()
    texts.of("first").add([1, 2, 3, 4, 5])
    long = list(range(2 * written_texts.MOST_TOKENS))
    texts.of("long").add(long)
    assert texts.of("long").after(long[:10]) is None
    assert texts.of("long").after(long[:-1]) is not None
    for number in range(MOST_SESSIONS - 2):
        texts.of(str(number))
    assert texts.of("first").after([1, 2, 3, 4]) is not None
    for number in range(MOST_SESSIONS):
        texts.of(str(number))
    assert texts.of("first").after([1, 2, 3, 4]) is None


def test_a_draft_from_another_text_ends_where_that_ends() -> None:
    others = WrittenTexts()
    others.add([1, 2, 3, 4, 5, 6])
    drafting = PromptLookups().begin([9, 1, 2, 3, 4], others)
    assert drafting.draft([9, 1, 2, 3, 4], 20) == [5, 6]
    assert drafting.draft([9, 1, 2, 3, 4, 5, 6], 20) == []
    assert drafting.draft([9, 1, 2, 3, 4, 5, 6, 7], 20) == []


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> OnnxRunner:
    """A model whose verified tokens have the same bits as decoded ones."""
    model = random_model(n_embd=1024, n_head=8, n_layer=1, vocab_size=tokenizer.vocab_size)
    path, weights = tmp_path_factory.mktemp("graph") / graph_name("int8"), model.state_dict()
    write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["int8"])
    return OnnxRunner(path, model.config)


@pytest.mark.parametrize("order", [None, "psm", "spm"])
def test_a_session_is_drafted_from_its_own_texts_alone(wide: OnnxRunner, tokenizer: Tokenizer, order: str) -> None:
    """As while somebody types what is suggested: each request repeats the rest of the text before."""
    engine = Engine(wide, tokenizer)

    def written(prefix: str, session: str) -> tuple[str, int, int]:
        suffix = None if order is None else "\n\ndef g():\n    return 2\n"
        params = SamplingParams(24, 0, ignore_eos=True, stop_at="none")
        stream = engine.submit(CompletionRequest(prefix, suffix, params, order or "psm"), session=session)
        text = "".join(event.text for event in stream)
        return text, stream.n_drafted, stream.n_accepted

    prefix = "def first(a, b):\n    c = a + b\n    return"
    first = written(prefix, "one")
    again = written(prefix, "one")
    elsewhere = written(prefix, "another")
    unnamed = [written(prefix, "") for _ in range(2)]
    engine.close()
    assert first == elsewhere == unnamed[0] == unnamed[1]
    assert again[0] == first[0]
    assert again[2] >= 20 > first[2]


def test_where_bits_differ_no_other_text_decides_what_is_drafted(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = random_model(vocab_size=tokenizer.vocab_size)
    path, weights = tmp_path / graph_name("int8"), model.state_dict()
    write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["int8"])
    engine = Engine(OnnxRunner(path, model.config), tokenizer)
    streams = []
    for _ in range(2):
        params = SamplingParams(24, 0, ignore_eos=True, stop_at="none")
        streams.append(engine.submit(CompletionRequest("def f(a):\n    return", None, params), session="one"))
        assert sum(isinstance(event, TokenEvent) for event in streams[-1]) == 24
    engine.close()
    assert streams[0].n_drafted == streams[1].n_drafted


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("suffix", [None, "\n\ndef g():\n    return 2\n"])
def test_no_draft_changes_what_is_suggested_while_somebody_types(
    wide: OnnxRunner, tokenizer: Tokenizer, temperature: float, suffix: str | None
) -> None:
    """Prompts end inside words, so the text also spells their end again, and earlier texts spelled it otherwise."""
    line = "    return self.values[index:]  # counted from 0"
    params = SamplingParams(16, temperature, seed=3, ignore_eos=True, stop_at="none", token_healing=True)
    requests = [
        CompletionRequest(f"def f(self, index):\n{line[:end]}", suffix, params, order)
        for order in ("psm", "spm")
        for end in range(5, len(line) + 1, 2)
    ]
    texts, n_accepted = [], []
    for drafts in (True, False):
        engine = Engine(wide, tokenizer, drafts=drafts)
        texts.append([])
        for request in requests:
            stream = engine.submit(request, session="one")
            texts[-1].append([event.id for event in stream if isinstance(event, TokenEvent)])
            n_accepted.append(stream.n_accepted)
        engine.close()
    assert texts[0] == texts[1]
    assert sum(n_accepted[: len(requests)]) > 50 and not any(n_accepted[len(requests) :])
