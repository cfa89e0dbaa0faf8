"""Training from a published revision, in either format, with all weights or a low-rank update."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import REPOSITORY, random_model
from tests.santacoder import dialects
from tests.train.conftest import TINY, pack_own_code
from tests.train.test_cli import failing
from train.__main__ import main
from train.data.pack import load_packed
from train.loop import ALONE, train
from train.model.lora import add_updates
from train.model.plain_model import plain_model
from train.model.starting_point import resolve_base, starting_model
from train.run.folder import newest_state

QUICK = "--steps 4 --sequence-length 32 --batch-size 2 --precision fp32 --loader-workers 0 --fim-questions 2".split()


@pytest.fixture(scope="module")
def tuning_data(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own code, packed with the tokenizer of the shared store's models."""
    return pack_own_code(tmp_path_factory.mktemp("tuning"), tokenizer=tokenizer)


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """A copy, because others compare what the shared store has."""
    return Path(shutil.copytree(store, tmp_path / "store", symlinks=True))


@pytest.mark.parametrize("flags", [[], ["--lora-rank", "4"]])
def test_a_revision_is_tuned_published_and_used(own_store: Path, tmp_path: Path, flags: list[str]) -> None:
    store = own_store
    source = ["--from", "test/tiny@other", "--folder", str(REPOSITORY / "santacoder")]
    where = ["--output", str(tmp_path / "run"), "--store", str(store), "--publish", "test/tuned"]
    assert main([*source, *where, "--branch", "lora" if flags else "all", *QUICK, *flags]) == 0
    before, own = checkpoints.load("test/tiny", "other", store=store)
    after, tokenizer = checkpoints.load("test/tuned", "lora" if flags else "all", store=store)
    assert tokenizer.encode("import os") == own.encode("import os")
    assert after.config == before.config
    changed = {
        name
        for name, weight in after.state_dict().items()
        if not torch.equal(weight, before.state_dict()[name].bfloat16().float())
    }
    assert "transformer.h.0.mlp.c_fc.weight" in changed
    assert ("transformer.wte.weight" in changed) == (not flags)


@pytest.mark.parametrize("multi_query", [True, False])
def test_the_remote_code_dialect_can_be_tuned(
    tokenizer: Tokenizer, tuning_data: Path, tmp_path: Path, multi_query: bool
) -> None:
    _, document, weights = dialects.santacoder_remote_code(tokenizer.vocab_size, multi_query=multi_query)
    folder = tmp_path / "store" / "models--big--code" / "snapshots" / ("a" * 40)
    dialects.write(folder, document, weights, tokenizer)
    refs = folder.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    base, shape = resolve_base("big/code", tmp_path / "store")
    settings = dataclasses.replace(TINY, base=base, sequence_length=min(32, shape.n_positions), optimizer="adamw")
    trained = train(settings, load_packed(tuning_data), tmp_path / "run", store=tmp_path / "store")
    assert trained.model is not None and trained.model.config.multi_query == multi_query


def test_a_low_rank_update_begins_as_nothing_and_merges_exactly() -> None:
    model = random_model()
    input_ids = torch.randint(500, (2, 20))
    plain = model(input_ids)
    add_updates(model, 4)
    torch.testing.assert_close(model(input_ids), plain)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == name.endswith((".0.a", ".0.b"))
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter.data, std=0.1)
    merged = plain_model(model, ALONE)
    assert merged is not None and not any("parametrizations" in name for name, _ in merged.named_parameters())
    assert not torch.allclose(merged(input_ids), plain)
    torch.testing.assert_close(merged(input_ids), model(input_ids))


def test_a_low_rank_update_is_saved_as_an_adapter_of_peft(
    own_store: Path, tuning_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published model, the base with the adapter, and peft's model with it are one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = own_store
    start = ["--from", "test/tiny@other", "--data", str(tuning_data), "--store", str(store), *QUICK]
    results = ["--output", str(tmp_path / "run"), "--publish", "test/tuned", "--branch", "adapter"]
    adapter = str(tmp_path / "adapter")
    assert main([*start, *results, "--lora-rank", "4", "--learning-rate", "0.1", "--save-adapter", adapter]) == 0
    ids = torch.arange(40)[None]
    where = {"revision": "other", "cache_dir": store, "local_files_only": True}
    by_peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("test/tiny", **where), adapter).eval()
    with torch.no_grad():
        ours, base, published = (
            checkpoints.load(repo_id, revision, store=store)[0](ids)
            for repo_id, revision in (
                ("test/tiny", f"other+{adapter}"),
                ("test/tiny", "other"),
                ("test/tuned", "adapter"),
            )
        )
        torch.testing.assert_close(ours, by_peft(ids).logits, rtol=1e-4, atol=1e-4)
    assert (ours - base).abs().max() > 10 * (ours - published).abs().max()  # which is published in bf16


def test_a_tuning_run_is_resumed_exactly(store: Path, tuning_data: Path, tmp_path: Path) -> None:
    flags = ["--from", "test/tiny", "--data", str(tuning_data), "--store", str(store), "--lora-rank", "2", *QUICK]
    metrics = []
    for output in (tmp_path / "one", tmp_path / "two"):
        assert main([*flags, "--output", str(output), "--save-every", "2", "--keep", "9"]) == 0
        metrics.append((output / "samples.jsonl").read_text())
    newest = newest_state(tmp_path / "two" / "states")
    assert newest is not None
    newest.rename(tmp_path / "gone")
    assert main(["--output", str(tmp_path / "two"), "--resume", "--store", str(store)]) == 0
    assert (tmp_path / "two" / "samples.jsonl").read_text() == metrics[0] == metrics[1]


def test_a_tuning_run_goes_on_from_its_own_base_only(
    own_store: Path, tuning_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--store", str(own_store), "--publish", "test/tiny", "--branch", "other"]
    where += ["--output", str(tmp_path / "run")]
    assert main(["--from", "test/tiny@other", "--data", str(tuning_data), *where, *QUICK]) == 0
    sentence = failing(capsys, "--from", "test/tiny@main", "--resume", *where)
    assert "The run tunes test/tiny@" in sentence and "cannot continue from test/tiny@main: omit --from" in sentence
    # which has a new commit since
    assert main(["--from", "test/tiny@other", "--resume", *where]) == 0


def test_what_does_not_go_together_is_said(
    store: Path, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["--from", "test/tiny", "--store", str(store), "--data", str(packed), "--output", str(tmp_path / "run")]
    assert "was packed with a different tokenizer" in failing(capsys, *start, *QUICK)
    assert "has n_embd 64, which fine-tuning cannot change to 128" in failing(capsys, *start, "--n-embd", "128")
    assert "has multi_query True" in failing(capsys, *start, "--variant", "mha")
    assert "already has a size: omit one of them" in failing(capsys, *start, "--size", "nano")
    assert "129 is more than the 128 positions" in failing(capsys, *start, "--sequence-length", "129")
    assert "name one with --from" in failing(capsys, *start[2:], "--lora-rank", "4")
    assert "set --lora-rank" in failing(capsys, *start, "--save-adapter", str(tmp_path / "adapter"))
    absent = ["--from", "test/absent", *start[2:]]
    assert "There is no model 'test/absent'" in failing(capsys, *absent)


def test_a_rank_that_is_not_low_is_said(store: Path, tokenizer: Tokenizer) -> None:
    base, _ = resolve_base("test/tiny", store)
    with pytest.raises(ValueError, match="use at most 63"):
        starting_model(dataclasses.replace(TINY, base=base, lora_rank=64), tokenizer, store)
