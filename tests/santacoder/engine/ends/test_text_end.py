"""What can end a text, all together, and through the engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from santacoder.engine.ends.text_end import TextEnd
from santacoder.engine.engine import Engine
from santacoder.engine.events import EndedBy, Finished, TokenEvent
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.gap_start import GapStart, is_inside_line
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.fim import prompt_ids
from santacoder.sampling import STOP_AT, SamplingParams, StopAt
from santacoder.tokenizer import Tokenizer
from tests.santacoder.engine.test_infilling import model_that_writes

PREFIX, SUFFIX = "def f(x):\n    ", "\n    return x\n"


def written(
    ids: list[int], tokenizer: Tokenizer, suffix: str | None = None, fit_gap: bool = False, **sampling: object
) -> tuple[str, Finished, int]:
    """What is shown of a model that writes ``ids``, how it ended, and after how many tokens."""
    prompt = tokenizer.encode(PREFIX)
    if suffix is not None:
        prompt = prompt_ids(tokenizer, prompt, tokenizer.encode(suffix), "psm")
    engine = Engine(TorchRunner(model_that_writes(ids, len(prompt) - 1, tokenizer)), tokenizer)
    params = SamplingParams(temperature=0, max_new_tokens=len(ids), **sampling)  # type: ignore[arg-type]
    events = list(engine.submit(CompletionRequest(PREFIX, suffix, params, fit_gap=fit_gap)))
    engine.close()
    assert isinstance(events[-1], Finished)
    count = sum(isinstance(event, TokenEvent) for event in events)
    return "".join(event.text for event in events), events[-1], count


@pytest.mark.parametrize(
    "text,suffix,sampling,kept,ended_by",
    [
        ("return x\n\ndef g():\n    pass", None, {"stop_at": "function"}, "return x", "stop_at"),
        ("y = 1\n    return x\n\ndef g(): pass", None, {"stop_at": "line"}, "y = 1", "stop_at"),
        ("y = 1\n    y = 1\n    y = 1\n    y = 1\n", None, {"stop_repetition": True}, "y = 1\n", "repetition"),
        ("y = 1\n    return x", SUFFIX, {}, "y = 1", "end_of_text"),
        ("y = 1\n    return x\n" * 5, SUFFIX, {"stop_repetition": True}, "y = 1", "repetition"),
        ("y = 1\n\nz", None, {"stop_at": "function", "stop": ("\n\n",)}, "y = 1", "stop_sequence"),
        ("y = 1", None, {"stop_at": "function", "stop_repetition": True}, "y = 1", "end_of_text"),
    ],
)
def test_a_text_ends_in_time_and_says_why(
    tokenizer: Tokenizer,
    text: str,
    suffix: str | None,
    sampling: dict[str, object],
    kept: str,
    ended_by: EndedBy,
) -> None:
    ids = [*tokenizer.encode(text), tokenizer.end_of_text_id]
    shown, last, count = written(ids, tokenizer, suffix, fit_gap=True, **sampling)
    # the fourth line has its indentation in front, the first has none
    assert shown.strip() == kept.strip()
    assert (last.reason, last.ended_by) == ("stop", ended_by)
    if ended_by in ("stop_at", "repetition"):
        assert count < len(ids)
    if ended_by == "repetition" or suffix:
        assert (shown + last.cut) in text


def test_without_being_asked_for_nothing_is_cut(tokenizer: Tokenizer) -> None:
    for text in ("y = 1\n    return x", "a = 1\n" * 5, "return x\n\ndef g():\n    pass"):
        ids = [*tokenizer.encode(text), tokenizer.end_of_text_id]
        assert written(ids, tokenizer, SUFFIX)[0] == text


@given(
    pieces=st.lists(st.sampled_from(["a", " b", "\n", "\n    ", "}", "return", "0"]), max_size=30),
    already=st.text(alphabet="a\n ", max_size=6),
    stop_at=st.sampled_from(STOP_AT),
    repetition=st.booleans(),
    suffix=st.sampled_from(["", "\nreturn\n", "}\n"]),
)
def test_what_is_shown_is_the_beginning_of_what_was_written(
    pieces: list[str], already: str, stop_at: StopAt, repetition: bool, suffix: str
) -> None:
    sampling = SamplingParams(stop_at=stop_at, stop_repetition=repetition, stop=("b\n",))
    written = tuple((ord(character), character) for character in already)
    request = CompletionRequest("def f():", suffix, sampling, fit_gap=True, written=written)
    end = TextEnd(request)
    shown, has_ended = "", False
    for piece in pieces:
        more, has_ended = end.feed(ord(piece[-1]), piece)
        shown += more
        assert "".join(pieces).startswith(shown)
        if has_ended:
            break
    if not has_ended:
        shown += end.finish("")
        assert "".join(pieces).startswith(shown)


@given(
    repeated=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["f()", "a", " b", "\n", "\n    ", "}", "return", "0"]), min_size=1, max_size=3),
            st.integers(1, 5),
        ),
        max_size=8,
    ),
    n_before=st.integers(0, 30),
    stop_at=st.sampled_from(STOP_AT),
    repetition=st.booleans(),
    suffix=st.sampled_from(["", "\nreturn\n", "}\n"]),
)
@example([(["f()", "\n"], 5)], 4, "none", True, "")
def test_a_text_that_was_begun_ends_where_it_ends_in_one_go(
    repeated: list[tuple[list[str], int]], n_before: int, stop_at: StopAt, repetition: bool, suffix: str
) -> None:
    tokens = [(ord(piece[-1]), piece) for pieces, times in repeated for piece in times * pieces]
    sampling = SamplingParams(stop_at=stop_at, stop_repetition=repetition, stop=("b\n",))
    request = CompletionRequest("def f():", suffix, sampling, fit_gap=True)
    whole, begun = TextEnd(request), TextEnd(replace(request, written=tuple(tokens[:n_before])))
    text, n_fed = shown_of(whole, tokens)
    more, n_more = shown_of(begun, tokens[n_before:])
    before = "".join(piece for _, piece in tokens[:n_before])
    assert n_more == max(0, n_fed - n_before) or (n_fed <= n_before and n_more == 1)
    assert more == text[len(before) :]
    assert begun.ended_by == whole.ended_by
    if whole.cut and stop_at == "none":  # otherwise, text behind the block may have been dropped, too
        assert "".join(piece for _, piece in tokens).startswith(text + whole.cut)
        assert more + begun.cut == (text + whole.cut)[len(before) :]


def shown_of(end: TextEnd, tokens: list[tuple[int, str]]) -> tuple[str, int]:
    """What ``end`` shows of ``tokens``, and how many of them have been fed to it when it ended."""
    shown = ""
    for n_fed, (token_id, piece) in enumerate(tokens, 1):
        more, has_ended = end.feed(token_id, piece)
        shown += more
        if has_ended:
            return shown, n_fed
    return shown + end.finish(""), len(tokens)


def test_a_gap_is_inside_a_line_where_the_line_goes_on() -> None:
    for prefix, suffix, inside in [
        ("    x = ", "\ny", True),
        ("    x =", "\n", True),
        ("f(a", ")\n", True),
        ("return ", "\n", True),
        ("def f():", "\n    return 1\n", False),
        ("if (x) {", "\n}\n", False),
        ("x = 1", "\ny", False),
        ("x = 1\n    ", "\ny", False),
        ("", "y", False),
    ]:
        assert is_inside_line(prefix, suffix) == inside, prefix
        assert (automatic_order(prefix, suffix, None) == "spm") == (inside or prefix == "x = 1")
        assert automatic_order(prefix, suffix, "psm") == "psm" and automatic_order(prefix, suffix, "spm") == "spm"
    assert automatic_order("self._na", "\n", None) == automatic_order("x = _", "\n", None) == "spm"


def test_what_breaks_the_line_is_avoided_unless_the_model_is_sure(tokenizer: Tokenizer) -> None:
    start = GapStart("    x = ", tokenizer)
    (line_break,) = tokenizer.encode("\n")
    logits = np.zeros(tokenizer.vocab_size, dtype=np.float32)
    logits[line_break] = 5  # likely, not sure
    avoided = start.avoided(logits)
    assert line_break in avoided and tokenizer.end_of_text_id in avoided
    assert not any(token_id in avoided for token_id in tokenizer.encode("name"))
    assert start.avoided(torch.from_numpy(logits)) == avoided
    logits[line_break] = 50
    assert start.avoided(logits) == []
    logits[tokenizer.encode("name")] = 60  # with token healing, only what agrees with the prompt counts
    blank = tokenizer.encode(" ")
    assert start.avoided(logits, np.array([line_break, *blank])) == []
    logits[blank] = 60
    assert start.avoided(logits, np.array([line_break, *blank])) == [line_break]


@pytest.mark.parametrize("fit_gap,shown", [(True, "x"), (False, "\nreturn")])
def test_through_the_engine_the_line_goes_on(tokenizer: Tokenizer, fit_gap: bool, shown: str) -> None:
    """The model would write a line break, and is not sure of it."""
    prefix, suffix = "y = ", "\nz = y\n"
    ids = tokenizer.encode("\nreturn") if not fit_gap else tokenizer.encode("x")
    likelier = tokenizer.encode("\n")[0]
    prompt = prompt_ids(tokenizer, tokenizer.encode(prefix), tokenizer.encode(suffix), "psm")
    model = model_that_writes([*ids, tokenizer.end_of_text_id], len(prompt) - 1, tokenizer)
    with torch.no_grad():  # the logits of a position are a row of this matrix, times a number
        model.lm_head.weight[likelier, len(prompt) - 1] = 1.01
    engine = Engine(TorchRunner(model), tokenizer)
    sampling = SamplingParams(temperature=0, max_new_tokens=len(ids) + 1)
    events = list(engine.submit(CompletionRequest(prefix, suffix, sampling, fit_gap=fit_gap)))
    engine.close()
    text = "".join(event.text for event in events)
    assert text == shown if fit_gap else text.startswith("\n")
