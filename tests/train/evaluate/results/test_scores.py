"""Results as tables, comparisons and charts, and their publication."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from santacoder import checkpoints
from santacoder.checkpoints import GENERATION_FILE
from santacoder.engine.loader import open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.errors import UserError
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from train.evaluate.__main__ import main
from train.evaluate.results import published
from train.evaluate.results.compare import compare
from train.evaluate.results.estimators import wilson_interval
from train.evaluate.results.report import difference_table, table, with_scores
from train.evaluate.results.result import Result, read_results


def result(
    rate: float, *, seed: int = 0, benchmark: str = "humaneval", model: str = "test/tiny", sha: str = "0" * 40
) -> Result:
    """A result of 200 tasks with ten samples each, which pass with probability ``rate``."""
    draw = random.Random(seed)
    tasks = {f"task {number}": (10, float(sum(draw.random() < rate for _ in range(10)))) for number in range(200)}
    return Result(benchmark, "python", model, "main", sha, {"temperature": 0.2}, {"runner": "torch"}, tasks)


@pytest.fixture
def own_store(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    card = {"README.md": "# test/tiny\n\nA model.\n\n## Limits\nMany.\n"}
    checkpoints.publish(random_model(), tokenizer, "test/tiny", dtype=torch.float32, files=card, store=tmp_path)
    return tmp_path


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = result(0.3)
    one.write(tmp_path / "a" / "result.json")
    assert read_results(tmp_path) == [one]
    document = json.loads((tmp_path / "a" / "result.json").read_text())
    assert set(document["scores"]) == {"pass@1", "pass@10"}


def test_a_result_without_tasks_has_no_scores() -> None:
    for benchmark in ("infilling", "humaneval"):
        empty = replace(result(0.3, benchmark=benchmark), tasks={})
        assert empty.scores() == {} and empty.to_json()["scores"] == {}
        assert table([empty, result(0.3)]) == table([result(0.3)])


def test_a_clear_difference_and_one_that_is_none() -> None:
    (clear, _) = compare([result(0.3)], [result(0.5, seed=1)])
    assert clear.is_clear and clear.b - clear.a == pytest.approx(0.2, abs=0.05)
    assert clear.interval[0] < clear.b - clear.a < clear.interval[1]
    (chance, _) = compare([result(0.3)], [result(0.3, seed=1)])
    assert not chance.is_clear


def test_compare_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result(0.3).write(tmp_path / "a" / "result.json")
    result(0.5).write(tmp_path / "b" / "result.json")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "| humaneval python T=0.2 | pass@1 | 200 |" in capsys.readouterr().out
    result(0.5, benchmark="multipl-e-mbpp").write(tmp_path / "b" / "result.json")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "no benchmark in common" in capsys.readouterr().err
    (tmp_path / "c").mkdir()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "c")]) == 2
    assert "no finished result" in capsys.readouterr().err


def test_scores_become_part_of_the_branch(own_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = checkpoints.resolve("test/tiny", store=own_store)
    runs = own_store / "runs"
    result(0.3, sha=before.name).write(runs / "a" / "result.json")
    arguments = ["publish", "test/tiny", str(runs), "--store", str(own_store)]
    assert main(arguments) == 0
    after = checkpoints.resolve("test/tiny", store=own_store)
    newest, older = checkpoints.log("test/tiny", store=own_store)
    assert (newest.sha, newest.parent, older.sha) == (after.name, before.name, before.name)
    assert after.name in capsys.readouterr().out
    card = (after / "README.md").read_text()
    assert card.index("# test/tiny") < card.index("## Scores") < card.index("## Limits")
    assert not (before / "eval.json").exists()
    assert (before / "model.safetensors").samefile(after / "model.safetensors")
    assert main(["compare", "test/tiny", f"test/tiny@{after.name[:8]}", "--store", str(own_store)]) == 0
    # measured again, and another benchmark: the old score is replaced, the other one kept
    result(0.4, sha=after.name).write(runs / "a" / "result.json")
    result(0.5, benchmark="infilling", sha=after.name).write(runs / "b" / "result.json")
    assert main(arguments) == 0
    newest_results = read_results(checkpoints.resolve("test/tiny", store=own_store) / "eval.json")
    assert [one.benchmark for one in newest_results] == ["humaneval", "infilling"]
    assert newest_results[0].tasks == result(0.4).tasks


def test_the_better_order_is_noted_and_used_for_requests_that_leave_it_open(own_store: Path) -> None:
    def scores(psm: float, spm: float) -> None:
        sha = checkpoints.resolve("test/tiny", store=own_store).name
        for benchmark, value in (("infilling", psm), ("infilling-spm", spm)):
            result(value, benchmark=benchmark, sha=sha).write(own_store / "runs" / benchmark / "result.json")
        assert main(["publish", "test/tiny", str(own_store / "runs"), "--store", str(own_store)]) == 0

    def prompt(order: FimOrder | None) -> list[int]:
        snapshot = checkpoints.resolve("test/tiny", store=own_store)
        engine, _ = open_engine(snapshot, device="cpu", runner="torch")
        try:
            stream = engine.submit(CompletionRequest("a = ", "b", SamplingParams(max_new_tokens=1), order))
            list(stream)
            return stream.prompt_ids
        finally:
            engine.close()

    before = json.loads((checkpoints.resolve("test/tiny", store=own_store) / GENERATION_FILE).read_text())
    assert prompt(None) == prompt("spm") != prompt("psm")
    scores(0, 0)  # neither is better
    assert json.loads((checkpoints.resolve("test/tiny", store=own_store) / GENERATION_FILE).read_text()) == before
    scores(0.6, 0.4)
    assert prompt(None) == prompt("psm")
    noted = json.loads((checkpoints.resolve("test/tiny", store=own_store) / GENERATION_FILE).read_text())
    assert noted == {**before, "fim_order": "psm"}
    scores(0.2, 0.4)
    assert prompt(None) == prompt("spm")
    scores(0.4, 0.4)
    assert json.loads((checkpoints.resolve("test/tiny", store=own_store) / GENERATION_FILE).read_text()) == before
    scores(0.6, 0.4)
    # what is no order is none
    folder = checkpoints.resolve("test/tiny", store=own_store)
    for text in ("{", "[]", '{"fim_order": "pms"}', '{"fim_order": ["psm"]}'):
        (folder / GENERATION_FILE).unlink()
        (folder / GENERATION_FILE).write_text(text)
        assert checkpoints.read_fim_order(folder) is None


def test_scores_of_other_weights_are_refused(
    own_store: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = checkpoints.publish(random_model(7), tokenizer, "test/tiny", "other", dtype=torch.float32, store=own_store)
    result(0.3, sha=sha).write(own_store / "runs" / "result.json")
    main_branch = checkpoints.resolve("test/tiny", store=own_store)
    assert main(["publish", "test/tiny", str(own_store / "runs"), "--store", str(own_store)]) == 2
    assert "whose weights differ from those of test/tiny@main" in capsys.readouterr().err
    assert checkpoints.resolve("test/tiny", store=own_store) == main_branch


def test_a_section_of_scores_is_replaced() -> None:
    once = with_scores("# m\n\n## A\na\n\n## B\nb\n", [result(0.3)])
    assert once.startswith("# m\n\n## Scores\n") and once.endswith("## A\na\n\n## B\nb\n")
    assert with_scores(once, [result(0.3)]) == once
    assert with_scores("# m\n", [result(0.3)]).count("## Scores") == 1


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_chart(tmp_path: Path, suffix: str) -> None:
    for name, rate in (("a", 0.3), ("b", 0.5)):
        result(rate).write(tmp_path / name / "result.json")
    picture = tmp_path / f"scores.{suffix}"
    assert main(["plot", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(picture)]) == 0
    assert picture.stat().st_size > 5_000


def test_a_chart_of_an_unknown_format_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result(0.3).write(tmp_path / "a" / "result.json")
    assert main(["plot", str(tmp_path / "a"), "--output", str(tmp_path / "scores.xyz")]) == 2
    assert "xyz" in capsys.readouterr().err


def test_the_published_table_tells_the_difference() -> None:
    ours = result(0.2, benchmark="multipl-e-humaneval")
    table = published.score_table([ours])
    value = ours.scores()["pass@1"].value
    assert f"| multipl-e-humaneval python | pass@1 | 0.18 | {value:.4f} | {value - 0.18:+.4f} |" in table
    assert (
        "| multipl-e-humaneval python | pass@10 | 0.29 | – | – |" in table
    )  # that is published at another temperature


def bits(value: float, digest: str) -> Result:
    settings = {"sha256": digest}
    return Result("bits-per-byte", "python", "test/tiny", "main", "0" * 40, settings, {}, {"all files": (1, value)})


def test_a_single_number_is_no_clear_difference() -> None:
    (difference,) = compare([bits(0.91, "a")], [bits(0.90, "a")])
    assert difference.interval is None and not difference.is_clear
    assert "| 0.9100 | 0.9000 | -0.0100 |  | a single number |" in difference_table([difference])


def test_scores_on_other_files_or_tasks_are_not_compared() -> None:
    with pytest.raises(UserError, match="bits-per-byte python was measured on different files or tasks"):
        compare([bits(0.91, "a")], [bits(0.90, "b")])
    one, other = result(0.3), result(0.3)
    one.settings.update(n_tasks=200, tasks="a")
    other.settings.update(n_tasks=200, tasks="b")
    with pytest.raises(UserError, match="humaneval python T=0.2 was measured on different files or tasks"):
        compare([one], [other])
    other.settings["n_tasks"] = 20  # some of the same tasks
    assert compare([one], [other])


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_an_interval_has_a_width_even_if_all_tasks_score_alike(rate: float) -> None:
    interval = result(rate).scores()["pass@1"].interval
    assert interval == wilson_interval(200 * rate, 200) and interval[1] - interval[0] > 0.01
