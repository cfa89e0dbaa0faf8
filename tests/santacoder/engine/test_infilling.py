"""The shown text of an infilling: the whole middle without sentinels, whichever sentinel ends it."""

from __future__ import annotations

import pytest
import torch

from santacoder.engine.engine import Engine
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.fim import FimOrder, prompt_ids
from santacoder.model import SantaCoder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import SPECIAL_TOKENS, Tokenizer
from tests.conftest import random_model

MIDDLES = ["x", "return a", "  \n", "\n", "é", "f('→ 🎄')", "🎄", "a\r\n\t", "<fim-middle>", "12345", "x = '日本'"]
PREFIX, SUFFIX = "def f():\n    ", "\n\nprint(1)\n"


@torch.no_grad()
def model_that_writes(ids: list[int], start: int, tokenizer: Tokenizer) -> SantaCoder:
    """A model whose token after position ``start + n`` is ``ids[n]``, for any input."""
    positions = start + len(ids) + 1
    model = random_model(
        vocab_size=tokenizer.vocab_size, n_positions=positions + 64, n_embd=4 * positions, tie_word_embeddings=False
    )
    for parameter in model.parameters():
        parameter.zero_()
    model.transformer.ln_f.weight.fill_(1)
    model.transformer.wpe.weight[:positions] = torch.eye(positions, 4 * positions)
    for position, token_id in enumerate(ids, start):
        model.lm_head.weight[token_id, position] = 1
    return model


def infill(ids: list[int], tokenizer: Tokenizer, order: FimOrder) -> tuple[str, Finished]:
    prompt = prompt_ids(tokenizer, tokenizer.encode(PREFIX), tokenizer.encode(SUFFIX), order)
    engine = Engine(TorchRunner(model_that_writes(ids, len(prompt) - 1, tokenizer)), tokenizer)
    sampling = SamplingParams(temperature=0, max_new_tokens=len(ids))
    events = list(engine.submit(CompletionRequest(PREFIX, SUFFIX, sampling, fim_order=order)))
    engine.close()
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events), events[-1]


@pytest.mark.parametrize("mark", SPECIAL_TOKENS)
@pytest.mark.parametrize("order", ["psm", "spm"])
def test_every_middle_is_shown_whole_and_without_the_mark_that_ends_it(
    tokenizer: Tokenizer, order: FimOrder, mark: str
) -> None:
    ending = tokenizer.encode(mark, allow_special=True)
    assert len(ending) == 1
    for middle in MIDDLES:
        text, last = infill(tokenizer.encode(middle) + ending, tokenizer, order)
        assert (text, last.reason) == (middle, "stop")


def test_a_middle_that_runs_out_of_room_keeps_its_last_character(tokenizer: Tokenizer) -> None:
    for middle in MIDDLES:
        text, last = infill(tokenizer.encode(middle), tokenizer, "psm")
        assert (text, last.reason) == (middle, "length")


def test_an_unfinished_character_is_shown_as_such(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("ok 🎄")
    assert len(tokenizer.decode_bytes(ids[-1:])) < 4, "the tree must take more than one token here"
    assert infill(ids[:-1] + [tokenizer.end_of_text_id], tokenizer, "psm")[0] == "ok \ufffd"
