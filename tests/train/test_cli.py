"""``python -m train`` from a folder to a published model, and its messages for invalid input."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from santacoder import checkpoints
from tests.conftest import REPOSITORY, random_model
from tests.train.conftest import TINY
from train.__main__ import main
from train.arguments import build_parser, new_config
from train.data.pack import Package, load_packed
from train.loop import Trained
from train.publish.model_card import model_card
from train.run.folder import RunFolder

SMALL = "--n-layer 1 --n-embd 32 --n-head 2 --sequence-length 64 --batch-size 2 --vocab-size 300 --steps 5".split()


def test_a_folder_becomes_a_published_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--folder", str(REPOSITORY / "santacoder"), "--output", str(tmp_path / "run"), *SMALL]
    assert main([*arguments, "--publish", "mine/coder", "--store", str(tmp_path / "store")]) == 0
    assert "Published mine/coder@main" in capsys.readouterr().out
    (commit,) = checkpoints.log("mine/coder", store=tmp_path / "store")
    assert (commit.step, commit.tokens) == (5, 5 * 2 * 64)
    assert commit.validation_loss is not None and 3 < commit.validation_loss < 7
    model, tokenizer = checkpoints.load("mine/coder", store=tmp_path / "store")
    assert model.config.n_positions == 64 and tokenizer.vocab_size <= 305
    card = (checkpoints.resolve("mine/coder", store=tmp_path / "store") / "README.md").read_text()
    assert "## Data" in card and "Held out:" in card


def test_the_card_has_the_licence_of_every_training_package(packed: Path, tmp_path: Path) -> None:
    trained = [
        Package("@scope/one", "1.0", "MIT", files=1, bytes=1_000_000),
        Package("@scope/two", "2.0", "Apache-2.0", files=2, bytes=2_000_000),
        Package("owner/first", "", "MIT", files=1, bytes=100_000),
        Package("owner/second", "", "BSD-3-Clause", files=1, bytes=100_000),
        Package("stdlib/json", "3.13", "PSF-2.0", files=3, bytes=300_000),
        Package("stdlib/os", "3.13", "PSF-2.0", files=4, bytes=400_000),
    ]
    held_out = Package("held", "1", "MIT", split="validation")
    data = dataclasses.replace(load_packed(packed), packages=[*trained, held_out])
    model = random_model()
    card = model_card("a/b", TINY, Trained(model, 1, 256, {"validation_loss": 5.0}), data, RunFolder(tmp_path))
    assert card["README.md"].partition("|---|---|---|---|---|\n")[2].splitlines()[:5] == [
        "| @scope/one | 1.0 | MIT | 1 | 1.0 |",
        "| @scope/two | 2.0 | Apache-2.0 | 2 | 2.0 |",
        "| owner/second |  | BSD-3-Clause | 1 | 0.1 |",
        "| owner/first |  | MIT | 1 | 0.1 |",
        "| stdlib | 3.13 | PSF-2.0 | 7 | 0.7 |",
    ]
    assert "Held out: held 1." in card["README.md"]


def test_a_finished_run_can_be_published_later(tmp_path: Path, packed: Path) -> None:
    arguments = ["--data", str(packed), "--output", str(tmp_path / "run")]
    assert main([*arguments, *SMALL]) == 0
    publish = [*arguments, "--resume", "--publish", "mine/coder", "--store", str(tmp_path / "store")]
    assert main(publish) == 0
    published = checkpoints.branches("mine/coder", store=tmp_path / "store")
    assert published.keys() == {"main"}
    assert main(publish) == 0, "as after a kill at the end"
    assert checkpoints.branches("mine/coder", store=tmp_path / "store") == published
    (checkpoints.resolve("mine/coder", store=tmp_path / "store") / "model.safetensors").write_bytes(b"damaged")
    assert main(publish) == 0
    assert checkpoints.branches("mine/coder", store=tmp_path / "store") != published


def test_every_saved_state_can_be_a_commit(tmp_path: Path, packed: Path) -> None:
    where = ["--output", str(tmp_path / "run"), "--publish", "mine/coder", "--store", str(tmp_path / "store")]
    assert main(["--data", str(packed), *where, *SMALL, "--publish-saves", "--save-every", "2"]) == 0
    commits = checkpoints.log("mine/coder", store=tmp_path / "store")
    assert [commit.step for commit in commits] == [5, 4, 2]
    assert all(commit.metrics["validation_loss"] == commit.validation_loss for commit in commits)
    snapshot = checkpoints.resolve("mine/coder", store=tmp_path / "store")
    curves = checkpoints.read_curves(snapshot)
    assert [step for step, _ in curves["loss"]] == [1, 2, 3, 4, 5]
    assert curves["validation_loss"] == [(c.step, pytest.approx(c.validation_loss, abs=1e-4)) for c in commits[::-1]]
    assert "<svg" in (snapshot / "loss.svg").read_text() and "bits per byte" in (snapshot / "README.md").read_text()


@pytest.mark.parametrize(("save_every", "n_states"), [("1", 5), ("2", 4)])
def test_states_can_be_saved_more_often_than_they_are_published(
    tmp_path: Path, packed: Path, save_every: str, n_states: int
) -> None:
    where = ["--output", str(tmp_path / "run"), "--publish", "mine/coder", "--store", str(tmp_path / "store")]
    often = ["--publish-saves", "--save-every", save_every, "--publish-every", "3", "--keep", "9"]
    assert main(["--data", str(packed), *where, *SMALL, *often]) == 0
    assert [commit.step for commit in checkpoints.log("mine/coder", store=tmp_path / "store")] == [5, 3]
    assert len(list((tmp_path / "run" / "states").iterdir())) == n_states


def test_a_variant_sets_attention_and_objective(tmp_path: Path, packed: Path) -> None:
    for variant, multi_query, fim_rate in (("mha", False, 0.5), ("no-fim", True, 0.0), ("final", True, 0.5)):
        output = tmp_path / variant
        assert main(["--data", str(packed), "--output", str(output), *SMALL, "--variant", variant]) == 0
        config = RunFolder(output).config()
        assert (config.multi_query, config.fim_rate) == (multi_query, fim_rate)


def test_the_paper_s_recipe() -> None:
    args = build_parser("").parse_args(["--size", "1b", "--output", "run"])
    config = new_config(args)
    assert (config.tokens_per_step, config.steps, config.learning_rate) == (192 * 2048, 300_000, 2e-4)
    shape = config.model_config(49_157)
    assert (shape.n_layer, shape.n_embd, shape.n_head, shape.vocab_size) == (24, 2048, 16, 49_216)


def test_metrics_are_json_lines(tmp_path: Path, packed: Path) -> None:
    assert main(["--data", str(packed), "--output", str(tmp_path), *SMALL, "--validate-every", "2"]) == 0
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    values = {"step", "loss", "learning_rate", "gradient_norm", "seconds", "tokens_per_second", "waiting_for_data"}
    assert values == set(records[0])
    validations = [record for record in records if "validation_loss" in record]
    assert [record["step"] for record in validations] == [1, 3, 4]
    assert {"step", "validation_loss", "bits_per_byte", "fim_exact_match"} == set(validations[0])


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message with which ``main`` fails."""
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Traceback" not in error
    return error


def test_bad_input_is_a_sentence(tmp_path: Path, packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, single = tmp_path / "empty", tmp_path / "single"
    empty.mkdir()
    single.mkdir()
    (single / "a.py").write_text("def only(one):\n    return one\n")
    run = str(tmp_path / "run")
    assert "Found 0 usable source file(s)" in failing(capsys, "--folder", str(empty), "--output", run)
    assert "Found 1 usable source file(s)" in failing(capsys, "--folder", str(single), "--output", run)
    (single / "b.rb").write_text("def other(one)\n  one\nend\n")
    (single / "a.py").rename(empty / "a.go")
    assert "Found 0 usable source file(s)" in failing(capsys, "--folder", str(empty), "--output", run)
    assert "Name the training data" in failing(capsys, "--output", run)
    assert "Found 0 usable source file(s)" in failing(capsys, "--packages", str(empty), "--simple", "--output", run)
    assert "absent is not a folder" in failing(capsys, "--folder", str(tmp_path / "absent"), "--output", run)
    assert "contains no packed data" in failing(capsys, "--data", str(empty), "--output", run)
    assert "There is no run to resume" in failing(capsys, "--data", str(packed), "--output", run, "--resume")
    assert "fewer than one sequence" in failing(
        capsys, "--data", str(packed), "--output", run, "--sequence-length", "1000000", "--batch-size", "1"
    )
    for flags, sentence in (
        (["--steps", "0"], "steps must be at least 1, not 0"),
        (["--fim-rate", "2"], "fim_rate must be between 0 and 1, not 2.0"),
        (["--n-head", "7"], "n_embd must be a multiple of n_head"),
        (["--seed", "-1"], "seed must be 0 or more, not -1"),
        (["--seed", str(2**64)], f"seed must be below 2**63, not {2**64}"),
        (["--beta2", "1"], "beta2 must be below 1"),
        (["--beta2-half-life", "1e30"], "beta2_half_life 1e+30 is so many tokens that the mean would never change"),
        (["--loader-workers", "1000000000000"], "loader_workers must be at most 1,024, not 1,000,000,000,000"),
    ):
        assert sentence in failing(capsys, "--data", str(packed), "--output", str(tmp_path / "odd"), *flags)
    assert main(["--data", str(packed), "--output", str(tmp_path / "taken"), *SMALL]) == 0
    capsys.readouterr()
    taken = failing(capsys, "--data", str(packed), "--output", str(tmp_path / "taken"), *SMALL)
    assert "already contains a run: continue it with --resume" in taken


def write_names(folder: Path) -> None:
    """Twelve files whose only easy line is ``return None``."""
    words = "amber birch cedar delta ember fjord grove heath inlet joist knoll ledge".split()
    folder.mkdir()
    for word in words:
        names = [f"{word}_{other}{len(other) * number}" for number, other in enumerate(reversed(words))]
        (folder / f"{word}.py").write_text("".join(f"def {name}():\n    return None\n\n\n" for name in names))


@pytest.mark.slow
def test_only_a_better_model_is_published(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_names(tmp_path / "code")
    own = tmp_path / "store"
    shutil.copytree(store, own)
    settings = "--sequence-length 64 --batch-size 4 --precision fp32 --loader-workers 0 --fim-questions 16 --spm-rate 0"
    lines = "--hold-out-files --publish-if-better --line-rate 1 --fim-rate 1".split()
    where = ["--folder", str(tmp_path / "code"), "--store", str(own), "--publish", "test/better"]
    command = [*where, *settings.split(), *lines]
    run = ["--from", "test/tiny@other", "--output", str(tmp_path / "run"), "--steps", "40", "--learning-rate", "4e-3"]
    assert main([*command, *run]) == 0
    said = capsys.readouterr().out
    found = re.search(r"Of 16 held-out lines, it fills in (\d+) exactly .*; before, (\d+) exactly", said)
    assert found and int(found[1]) > int(found[2]) and "Published test/better@main" in said
    published = checkpoints.branches("test/better", store=own)
    # which then is the model to beat
    again = ["--from", "test/better", "--output", str(tmp_path / "again"), "--steps", "1", "--learning-rate", "1e-9"]
    assert main([*command, *again]) == 0
    assert "Nothing was published, because it is no better on them." in capsys.readouterr().out
    assert checkpoints.branches("test/better", store=own) == published


@pytest.mark.parametrize("flags", [["--publish-saves"], ["--fim-questions", "0"], ["--fim-rate", "0"]])
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    arguments = ["--folder", str(tmp_path), "--output", str(tmp_path / "run"), "--publish", "a/b", *SMALL]
    assert "--publish-if-better compares" in failing(capsys, *arguments, "--publish-if-better", *flags)


def test_a_comparison_is_on_the_same_held_out_files_after_a_resume(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    for name, flags in (("compared", ["--validate-first"]), ("other", [])):
        start = ["--data", str(packed), "--output", str(tmp_path / name), "--fim-questions", "2"]
        assert main([*start, *SMALL, "--validation-batches", "3", *flags]) == 0
    resume = ["--output", str(tmp_path / "compared"), "--resume"]
    comparison = ["--publish", "a/b", "--store", store, "--publish-if-better"]
    for compared in (comparison, []):  # the latter, because a later resume may compare
        sentence = failing(capsys, *resume, *compared, "--validation-batches", "1")
        assert "was started with validation_batches 3 and cannot continue with 1" in sentence
        assert "was started with fim_questions 2" in failing(capsys, *resume, *compared, "--fim-questions", "1")
    assert main([*resume, *comparison]) == 0
    resume[1] = str(tmp_path / "other")
    assert "the run did not measure that" in failing(capsys, *resume, *comparison)
    assert main([*resume, "--validation-batches", "1", "--fim-questions", "1"]) == 0
