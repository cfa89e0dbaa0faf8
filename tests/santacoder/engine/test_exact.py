"""A row of a quantised graph is the same to the last bit, alone or batched, and however it was prefilled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from export import graph
from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.engine import engine as engine_module
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.loader import graphs
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Logits, Portion, Step
from santacoder.engine.stream import Stream
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model


@pytest.fixture(scope="module")
def mini() -> OnnxRunner:
    """A model with small matrices, which are multiplied in single precision."""
    snapshot = checkpoints.resolve("santacoder/mini", "main")
    return OnnxRunner(graphs(snapshot, "cpu")[0], checkpoints.read_config(snapshot))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> OnnxRunner:
    """A model with matrices wide enough for integer products over whole rows, which are batch-invariant."""
    model = random_model(n_embd=1024, n_head=8, n_layer=2, vocab_size=1024)
    path, weights = tmp_path_factory.mktemp("graph") / graph_name("int8"), model.state_dict()
    write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["int8"])
    return OnnxRunner(path, model.config)


@pytest.fixture(params=["mini", "wide"])
def runner(request: pytest.FixtureRequest) -> OnnxRunner:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("slots", [[0], [7], [0, 1], [0, 1, 2], [2, 5], [3, 4, 5, 6, 7], list(range(8))])
def test_batch_and_chunks_change_no_bit(runner: OnnxRunner, slots: list[int]) -> None:
    rng = random.Random(0)
    ids = [rng.randrange(1000) for _ in range(91)]
    runner.prefill(0, ids, 0, 1)
    expected = np.array(runner.decode([Step(0, 5, 91)])[0])
    for slot in slots:
        cut = rng.randrange(1, 91)
        runner.prefill(slot, ids[:cut], 0, 1)
        runner.prefill(slot, ids[cut:], cut, 1)
    for row in runner.decode([Step(slot, 5, 91) for slot in slots]):
        assert np.array_equal(row, expected)


@pytest.mark.parametrize("length", [2, 3, 16, 91])
def test_a_prompt_whose_last_token_alone_is_read_changes_no_bit(runner: OnnxRunner, length: int) -> None:
    """As if all but that token were cached."""
    rng = random.Random(length)
    ids = [rng.randrange(1000) for _ in range(length)]
    expected = np.array(runner.prefill(0, ids, 0, 1))
    runner.prefill(1, ids[:-1], 0, 1)
    assert np.array_equal(runner.prefill(1, ids[-1:], length - 1, 1), expected)


@pytest.mark.parametrize(("length", "cut"), [(129, 56), (188, 129), (200, 71), (386, 1)])
def test_no_part_of_a_prompt_ends_in_a_single_token(mini: OnnxRunner, length: int, cut: int) -> None:
    """The runtime computes the attention of 128 tokens at a time."""
    ids = [random.Random(length).randrange(1000) for _ in range(length)]
    expected = np.array(mini.prefill(0, ids, 0, 1))
    mini.prefill(1, ids[:cut], 0, 1)
    assert np.array_equal(mini.prefill(1, ids[cut:], cut, 1), expected)


@pytest.mark.parametrize("temperature", [0, pytest.param(0.8, marks=pytest.mark.slow)])
def test_texts_are_the_same_in_company_and_whatever_is_cached(mini: OnnxRunner, temperature: float) -> None:
    tokenizer = checkpoints.read_tokenizer(checkpoints.resolve("santacoder/mini", "main"))
    engine = Engine(mini, tokenizer)
    source = Path(engine_module.__file__).read_text()
    requests = [
        CompletionRequest(source[start : start + 300], None, SamplingParams(30, temperature, seed=start))
        for start in range(0, 4000, 400)
    ]
    streams = [engine.submit(request) for request in requests]
    together = [text_of(stream) for stream in streams]
    assert [text_of(engine.submit(request)) for request in requests] == together
    # behind the same tokens, written and not read before
    longer = [
        CompletionRequest(request.prefix + text[:40], None, request.sampling)
        for request, text in zip(requests, together, strict=True)
    ]
    continued = [text_of(engine.submit(request)) for request in longer]
    engine.close()
    fresh = Engine(mini, tokenizer)
    assert [text_of(fresh.submit(request)) for request in longer] == continued
    fresh.close()


@pytest.mark.parametrize("n_texts", [6, 12])
def test_texts_in_company_are_those_alone_however_drafts_are_verified(tmp_path: Path, n_texts: int) -> None:
    """Where tokens are verified to the last bit as they are decoded, drafts are verified together, and not at all while
    more than eight texts are written."""
    snapshot = checkpoints.resolve("santacoder/mini", "main")
    model, tokenizer = checkpoints.load(snapshot)
    weights = model.state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_WIDE", 0)
        path = tmp_path / graph_name("int8")
        write_graph(path, model.config, lambda name: weights[name].float().numpy(), PRECISIONS["int8"])
    runner = OnnxRunner(path, model.config, n_slots=12)
    assert runner.prefill_together is not None
    verify, verified_together = runner.prefill_together, []
    runner.prefill_together = lambda drafts: verified_together.append(drafts) or verify(drafts)
    engine = Engine(runner, tokenizer)
    source = Path(engine_module.__file__).read_text()
    requests = [
        CompletionRequest(source[start : start + 300], None, SamplingParams(40, 0, ignore_eos=True, stop_at="none"))
        for start in range(0, 400 * n_texts, 400)
    ]
    together = [text_of(stream) for stream in [engine.submit(request) for request in requests]]
    n_verified = 0
    assert verified_together

    def counted(slot: int, token_ids: list[int], start: int, n_logits: int) -> object:
        nonlocal n_verified
        n_verified += len(token_ids) > 1 and n_logits == len(token_ids)
        return OnnxRunner.prefill(runner, slot, token_ids, start, n_logits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "prefill", counted)
        assert [text_of(engine.submit(request)) for request in requests] == together
    engine.close()
    assert n_verified > 5


def test_short_prompts_of_several_texts_are_read_in_one_run(
    wide: OnnxRunner, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of similar lengths, because each takes as long as the longest of them."""
    read: list[list[int]] = []
    together = wide.prefill_together
    assert together is not None

    def watched(portions: Sequence[Portion]) -> Sequence[Logits]:
        read.append([len(portion.token_ids) for portion in portions])
        return together(portions)

    engine = Engine(wide, tokenizer, drafts=False)
    prompts = [[5 + index, *range(20, 20 + length)] for index, length in enumerate((3, 4, 5, 4, 40, 300, 7, 60))]
    params = SamplingParams(6, 0, ignore_eos=True, stop_at="none")
    requests = [CompletionRequest("", None, params, prefix_ids=tuple(prompt), use_cache=False) for prompt in prompts]
    alone = [[event.id for event in engine.submit(request) if isinstance(event, TokenEvent)] for request in requests]
    with monkeypatch.context() as patch:
        patch.setattr(wide, "prefill_together", watched)
        with engine._changed:  # all of them arrive before the next turn
            streams = [engine.submit(request) for request in requests]
        company = [[event.id for event in stream if isinstance(event, TokenEvent)] for stream in streams]
    engine.close()
    assert company == alone
    assert max(map(len, read)) >= 4
    assert all(max(lengths) <= 64 and max(lengths) <= 2 * min(lengths) for lengths in read)


@pytest.mark.parametrize("is_wide", [True, False])
def test_which_graphs_verify_exactly(mini: OnnxRunner, wide: OnnxRunner, is_wide: bool) -> None:
    assert ((wide if is_wide else mini).prefill_together is not None) is is_wide


def text_of(stream: Stream) -> str:
    return "".join(event.text for event in stream)
