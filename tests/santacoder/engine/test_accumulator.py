"""Conversion of events to text, tokens and offsets if characters take several tokens."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from santacoder.engine.accumulator import Accumulator
from santacoder.engine.events import Event, Finished
from santacoder.engine.request import CompletionRequest
from santacoder.engine.sequence import Sequence
from santacoder.sampling import Choice, SamplingParams
from santacoder.tokenizer import Tokenizer

# ASCII, CJK, an emoji with a skin colour, a family of joined ones, combining marks, right to left
texts = st.text(st.sampled_from("ab \n({é東京👍🏽👨\u200d👩\u0301\u0308ाשל"), min_size=1, max_size=12)


def written(
    tokenizer: Tokenizer,
    prompt: str,
    ids: list[int],
    *,
    echo: bool = False,
    stop: tuple[str, ...] = (),
    prompt_ids: tuple[int, ...] | None = None,
    room: int = 1,
) -> Accumulator:
    """The result of a request whose model generates ``ids``, with ``room`` for more."""
    sampling = SamplingParams(max_new_tokens=len(ids) + room, stop=stop, top_logprobs=1)
    events: list[Event] = []
    request = CompletionRequest(prompt, None, sampling, prefix_ids=prompt_ids, echo=echo)
    sequence = Sequence(request, tokenizer, 1000, events.append)
    if echo:
        sequence.add_scores([Choice(id_, -1.0, ((id_, -1.0),), -1.0) for id_ in sequence.ids[1:]])
    for id_ in ids:
        if not sequence.finished:
            sequence.add(Choice(id_, -1.0, ((id_, -1.0),), -1.0))
    if not sequence.finished:
        sequence.finish("length")
    assert isinstance(events[-1], Finished)
    accumulator = Accumulator(tokenizer, sequence.prompt_end)
    shown = [token for event in events for token in accumulator.add(event)]
    assert shown == accumulator.tokens
    return accumulator


def offsets(tokenizer: Tokenizer, text: str) -> list[int]:
    """The position of each token's first character, according to the tokenizers library."""
    return [start for start, _ in tokenizer._plain.encode(text).offsets]


@given(prompt=texts, text=texts, echo=st.booleans())
def test_offsets_are_those_of_the_encoding(tokenizer: Tokenizer, prompt: str, text: str, echo: bool) -> None:
    found = written(tokenizer, prompt, [*tokenizer.encode(text), tokenizer.end_of_text_id], echo=echo)
    before = prompt if echo else ""
    assert found.text == before + text
    *tokens, end = found.tokens
    assert (end.text, end.offset) == ("<|endoftext|>", len(found.text))
    assert "".join(token.text for token in tokens) == found.text
    expected = offsets(tokenizer, before) if echo else []
    assert [token.offset for token in tokens] == expected + [
        len(before) + offset for offset in offsets(tokenizer, text)
    ]
    assert all(found.text[token.offset :].startswith(token.text) for token in tokens)
    # what was chosen is the likeliest here, and has the same text among the alternatives
    assert all(token.top[0].text == token.text for token in tokens if token.top)


@given(prompt=texts, text=texts, echo=st.booleans(), data=st.data())
def test_tokens_of_a_stop_sequence_are_not_among_them_and_all_before_are(
    tokenizer: Tokenizer, prompt: str, text: str, echo: bool, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    stop = text[start : start + data.draw(st.integers(1, 3))]
    found = written(tokenizer, prompt, tokenizer.encode(text), echo=echo, stop=(stop,))
    before = prompt if echo else ""
    kept = text[: text.index(stop)]
    assert found.text == before + kept
    reached = [offset for offset in offsets(tokenizer, text) if offset < len(kept)]
    n_before = len(tokenizer.encode(prompt)) if echo else 0
    assert [token.offset - len(before) for token in found.tokens[n_before:]] == reached
    assert len(found.tokens[:n_before]) == n_before


@given(text=texts)
def test_the_beginning_of_a_character_becomes_its_replacement_in_the_last_token(
    tokenizer: Tokenizer, text: str
) -> None:
    ids = tokenizer.encode(text + "東")[:-1]
    assume(tokenizer.decode(ids).endswith("\ufffd"))
    for ending in ([], [tokenizer.end_of_text_id]):
        found = written(tokenizer, "x", [*ids, *ending], room=1)
        assert found.text == tokenizer.decode(ids) == text + "\ufffd"
        assert "".join(token.text for token in found.tokens[: len(ids)]) == found.text
        assert len(found.tokens) == len(ids) + len(ending)


@pytest.mark.parametrize("echo", [False, True])
def test_a_character_begun_by_the_prompt_is_completed(tokenizer: Tokenizer, echo: bool) -> None:
    ids = tokenizer.encode("👍🏽 x")
    for cut in range(1, len(ids)):
        found = written(tokenizer, "👍", ids[cut:], prompt_ids=tuple(ids[:cut]), echo=echo)
        finished = tokenizer.decode_bytes(ids[:cut]).decode("utf-8", errors="ignore")
        assert found.text == ("👍🏽 x" if echo else "👍🏽 x"[len(finished) :])
        assert "".join(token.text for token in found.tokens) == found.text
    nothing = written(tokenizer, "👍", [], prompt_ids=tuple(ids[:1]), room=0)
    assert (nothing.text, nothing.tokens) == ("", [])


def test_alternatives_are_decoded_in_their_place(tokenizer: Tokenizer) -> None:
    first, second, third = tokenizer.encode("東")
    accumulator = Accumulator(tokenizer)
    sequence = Sequence(CompletionRequest("x"), tokenizer, 100, accumulator.add)
    top = ((third, -0.1), (first, -2.0), (tokenizer.end_of_text_id, -3.0))
    for id_ in (first, second, third):
        sequence.add(Choice(id_, -1.0, top, -1.0))
    assert [[text for _, text, _ in token.top] for token in accumulator.tokens] == [
        ["\ufffd", "", "<|endoftext|>"],
        ["", "\ufffd", "<|endoftext|>"],
        ["東", "\ufffd", "<|endoftext|>"],
    ]
