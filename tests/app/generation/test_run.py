"""From tasks to generations, with a real engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.generation.continuation import Place, request_after
from app.generation.records import Generation, Token
from app.generation.run import continue_from, generate
from app.generation.task import Failed, Task, Written
from app.model_pool import Models
from app.settings import Settings
from app.ui.components import summary
from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.santacoder.engine.test_infilling import model_that_writes

GREEDY = SamplingParams(max_new_tokens=10, temperature=0)


@pytest.fixture(scope="module")
def models(store: Path) -> Iterator[Models]:
    models = Models(Settings(store=store, device="cpu"))
    yield models
    models.close()


def last(progresses: Iterator[object]) -> Generation:
    *_, progress = progresses
    assert isinstance(progress, Written) and progress.finished, progress
    return progress.generation


def task(*parts: str, sampling: SamplingParams = GREEDY, order: FimOrder | None = "psm", n: int = 1) -> Task:
    return Task("infill" if len(parts) > 1 else "complete", "python", parts, sampling, order, n)


@pytest.mark.parametrize("token_healing", [False, True])
@pytest.mark.parametrize(
    "parts,order",
    [
        (("def f(",), "psm"),
        (("a = ", "\nb"), "psm"),
        (("a = ", "\nb"), "spm"),
        (("a", "b", "c"), "psm"),
        (("a\r\n", "\r\nb"), "psm"),
    ],
)
def test_to_continue_from_the_token_that_was_taken_changes_nothing(
    models: Models, parts: tuple[str, ...], order: FimOrder, token_healing: bool
) -> None:
    sampling = replace(GREEDY, token_healing=token_healing)
    generation = last(generate(models, "test/tiny", "main", task(*parts, order=order, sampling=sampling)))
    for gap, completion in enumerate(generation.candidates[0].completions):
        for index in (0, len(completion.tokens) // 2, len(completion.tokens) - 1):
            assert completion.tokens[index].top[0].id == completion.tokens[index].id
            again = last(continue_from(models, generation, Place(0, gap, index, 0)))
            assert len(again.candidates) == 2
            old, new = (candidate.completions for candidate in again.candidates)
            assert [text.text for text in new] == [text.text for text in old]
            assert [[token.id for token in text.tokens] for text in new] == [
                [token.id for token in text.tokens] for text in old
            ]


@pytest.mark.parametrize(
    "parts,healed", [(("def are", "\nb"), [0]), (("f():", "\nb"), []), (("f():", "\nb", "\nc"), [1])]
)
def test_a_gap_is_healed_by_what_stands_before_it(
    models: Models, tokenizer: Tokenizer, parts: tuple[str, ...], healed: list[int]
) -> None:
    orders: tuple[FimOrder, ...] = ("psm", "spm")
    for order in orders:
        sampling = replace(GREEDY, token_healing=True)
        generation = last(generate(models, "test/tiny", "main", task(*parts, order=order, sampling=sampling)))
        (candidate,) = generation.candidates
        shown = ["".join(token.text for token in completion.tokens) for completion in candidate.completions]
        assert shown == [completion.text for completion in candidate.completions]
        spelled = [tokenizer.decode([token.id for token in each.tokens]) for each in candidate.completions]
        assert [gap for gap, text in enumerate(spelled) if text != shown[gap]] == healed
        assert all(text.endswith(shown[gap]) for gap, text in enumerate(spelled))


def test_the_order_that_is_left_open_is_the_one_that_the_revision_records(tmp_path: Path, store: Path) -> None:
    copy = shutil.copytree(store, tmp_path / "store")
    snapshot = checkpoints.resolve("test/tiny", "other", store=copy)
    path = snapshot / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fim_order": "psm"}))
    models = Models(Settings(store=copy, device="cpu"))
    inside, whole = task("x = ", "\n", order=None), task("x = 1\n", "y = 2\n", order=None)
    # without a record, the gap decides
    orders = [last(generate(models, "test/tiny", "main", each)).fim_order for each in (inside, whole)]
    recorded = [last(generate(models, "test/tiny", "other", each)).fim_order for each in (inside, whole)]
    chosen = last(generate(models, "test/tiny", "other", task("x = ", "\n", order="spm")))
    models.close()
    assert (orders, recorded, chosen.fim_order) == (["spm", "psm"], ["psm", "psm"], "spm")


def test_windows_line_ends_change_nothing_but_themselves(models: Models) -> None:
    sampling = SamplingParams(max_new_tokens=40, temperature=2, top_p=1, seed=1)
    for parts in (("def f():\n    ",), ("a = 1\n", "\nb", "\n")):
        unix = last(generate(models, "test/tiny", "main", task(*parts, sampling=sampling, n=4)))
        crlf = [part.replace("\n", "\r\n") for part in parts]
        windows = last(generate(models, "test/tiny", "main", task(*crlf, sampling=sampling, n=4)))
        texts = [[each.text for each in candidate.completions] for candidate in unix.candidates]
        assert any("\n" in text for candidate in texts for text in candidate)
        assert [[each.text for each in candidate.completions] for candidate in windows.candidates] == [
            [text.replace("\n", "\r\n") for text in candidate] for candidate in texts
        ]


def test_another_token_stands_where_it_was_chosen(models: Models) -> None:
    generation = last(generate(models, "test/tiny", "main", task("x")))
    token = generation.candidates[0].completions[0].tokens[3]
    again = last(continue_from(models, generation, Place(0, 0, 3, 2)))
    tokens = again.candidates[1].completions[0].tokens
    assert tokens[3].id == token.top[2].id != token.id
    assert tokens[3].logprob == token.top[2].logprob
    assert len(tokens) <= GREEDY.max_new_tokens


def test_lines_before_a_chosen_token_count_as_repeated(tokenizer: Tokenizer) -> None:
    prefix, lines = "x = 1\n", tokenizer.encode("f()\n" * 4)
    model = model_that_writes(lines, len(tokenizer.encode(prefix)) - 1, tokenizer)
    engine = Engine(TorchRunner(model), tokenizer)
    sampling = SamplingParams(max_new_tokens=len(lines), temperature=0, stop_repetition=True)
    opening = tuple(Token(tokenizer.decode([id_]), id_, None) for id_ in tokenizer.encode("f()\nf()\nf"))
    request, _ = request_after(opening, CompletionRequest(prefix, sampling=sampling), engine)
    events = list(engine.submit(request))
    engine.close()
    assert isinstance(events[-1], Finished) and events[-1].ended_by == "repetition"
    assert "".join(event.text for event in events) == ""
    assert events[-1].cut == "()\n"


@pytest.mark.parametrize("place", [Place(0, 0, 99, 0), Place(1, 0, 0, 0), Place(0, 1, 0, 0), Place(0, 0, -1, 0)])
def test_a_place_that_is_not_there_is_said(models: Models, place: Place) -> None:
    generation = last(generate(models, "test/tiny", "main", task("x")))
    assert list(continue_from(models, generation, place)) == [Failed("There is no such token.")]


def test_texts_are_their_tokens_and_stop_sequences_belong_to_neither(models: Models) -> None:
    sampling = SamplingParams(max_new_tokens=40, temperature=1.5, seed=3)
    generation = last(generate(models, "test/tiny", "main", task("x", sampling=sampling, n=4)))
    assert len({candidate.completions[0].text for candidate in generation.candidates}) == 4
    by_seed = sorted(generation.candidates, key=lambda candidate: candidate.completions[0].seed)
    for number, candidate in enumerate(by_seed):
        (completion,) = candidate.completions
        assert completion.seed == 3 + number
        assert "".join(token.text for token in completion.tokens) == completion.text
    whole = by_seed[0].completions[0].text
    stopped = SamplingParams(max_new_tokens=40, temperature=1.5, seed=3, stop=(whole[10:12],))
    (completion,) = last(generate(models, "test/tiny", "main", task("x", sampling=stopped))).candidates[0].completions
    assert completion.reason == "stop"
    assert completion.text == whole[: whole.index(whole[10:12])]
    assert "".join(token.text for token in completion.tokens).startswith(completion.text)


def test_what_is_stopped_is_as_far_as_it_had_come(models: Models) -> None:
    stream = generate(models, "test/tiny", "main", task("x", sampling=SamplingParams(max_new_tokens=100), n=2))
    first = next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert isinstance(first, Written) and not first.finished
    assert [candidate.completions[0].reason for candidate in first.generation.candidates] == ["cancelled"] * 2
    assert Generation.from_json(first.generation.to_json()) == first.generation


def test_without_chance_there_is_one_candidate_and_a_notice(models: Models) -> None:
    *_, progress = generate(models, "test/tiny", "main", task("x", n=3))
    assert isinstance(progress, Written)
    assert len(progress.generation.candidates) == 1
    assert progress.notices[-1].startswith("At temperature 0 all candidates are the same")


def test_candidates_that_chance_made_equal_are_one_and_counted(models: Models) -> None:
    sampling = SamplingParams(max_new_tokens=10, temperature=0.5, top_k=1)
    *_, progress = generate(models, "test/tiny", "main", task("x", n=3, sampling=sampling))
    assert isinstance(progress, Written)
    assert len(progress.generation.candidates) == 1
    assert progress.notices[-1] == "All 3 candidates are the same."


@pytest.mark.parametrize("repo_id,parts", [("test/none", ("x",)), ("test/tiny", ("",)), ("test/tiny", ("\0",))])
def test_what_cannot_be_run_is_a_sentence(models: Models, repo_id: str, parts: tuple[str, ...]) -> None:
    (progress,) = generate(models, repo_id, "main", task(*parts))
    assert isinstance(progress, Failed) and progress.sentence.endswith(".")


def test_the_status_line_says_that_nothing_was_written(models: Models) -> None:
    nothing = last(generate(models, "test/tiny", "main", task("x", sampling=replace(GREEDY, max_new_tokens=0))))
    assert "no tokens yet" in summary(nothing, 0, running=True)
    ended = summary(nothing, 0)
    assert "nothing was written · hit the length limit" in ended and "no tokens yet" not in ended


def test_the_status_line_tells_how_many_tokens_were_drafted(models: Models, tokenizer: Tokenizer) -> None:
    repeated = ((tokenizer.encode("x")[0], 50.0),)
    for logit_bias, n_least in ((repeated, 20), ((), 0)):
        sampling = SamplingParams(max_new_tokens=60, temperature=0, logit_bias=logit_bias, ignore_eos=True)
        generation = last(generate(models, "test/tiny", "main", task("x", sampling=sampling)))
        n_accepted = generation.candidates[0].completions[0].n_accepted
        assert n_least <= n_accepted < 60
        assert Generation.from_json(generation.to_json()) == generation
        assert (f"{n_accepted} tokens from drafts" in summary(generation, 0)) is (n_accepted > 0)


def test_tokens_that_the_model_does_not_have_are_refused(models: Models) -> None:
    generation = last(generate(models, "test/tiny", "main", task("def f(")))
    (candidate,) = generation.candidates
    first = candidate.completions[0].tokens[0]
    unknown = replace(first, top=(replace(first.top[0], id=10**6),))
    completion = replace(candidate.completions[0], tokens=(unknown, *candidate.completions[0].tokens[1:]))
    forged = replace(generation, candidates=(replace(candidate, completions=(completion,)),))
    *_, progress = continue_from(models, forged, Place(0, 0, 0, 0))
    assert isinstance(progress, Failed) and "tokens that this model does not have" in progress.sentence
