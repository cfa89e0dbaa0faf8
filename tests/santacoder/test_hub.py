"""Models on a Hub and in the user's cache, through ``huggingface_hub`` and a server on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from santacoder import checkpoints
from santacoder.experiments import EXPERIMENTS, experiment
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from tests.santacoder.local_hub import HubRepository, LocalHub, local_hub

CALL = """
import json, sys
from pathlib import Path
from santacoder import checkpoints
store = Path(sys.argv[1])
try:
    print(json.dumps(eval(sys.argv[2]), default=lambda value: getattr(value, "__dict__", None) or str(value)))
except checkpoints.CheckpointError as error:
    print(json.dumps({"sentence": str(error)}))
"""


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with local_hub() as server:
        yield server


@pytest.fixture
def trained(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A store with three commits on ``fim`` and one on ``main`` of ``test/tiny``."""
    store = tmp_path / "store"
    for step in (100, 200, 300):
        files = {"README.md": f"---\ntags: [code]\n---\nstep {step}"} if step < 300 else {}
        checkpoints.publish(
            random_model(step), tokenizer, "test/tiny", "fim", step=step, tokens=step * 1000,
            validation_loss=step / 100, dtype=torch.float32, files=files, store=store,
        )  # fmt: skip
    checkpoints.publish(random_model(0), tokenizer, "test/tiny", "main", dtype=torch.float32, store=store)
    return store


def ask(hub: LocalHub, expression: str, tmp_path: Path, **settings: bool) -> object:
    """The value of an expression in a process of its own, whose store is empty."""
    result = hub.run("-c", CALL, str(tmp_path / "empty"), expression, home=tmp_path / "home", **settings)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def push(hub: LocalHub, store: Path, tmp_path: Path, *arguments: str, **settings: str) -> str:
    result = hub.run(
        "-m", "santacoder.checkpoints", "push", "--store", str(store), "--repo", "test/tiny", *arguments,
        home=tmp_path / "home", **settings,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_branch_is_pushed_commit_by_commit(hub: LocalHub, trained: Path, tmp_path: Path) -> None:
    assert "0 of 3 commits are already at someone/copy@fim" in push(
        hub, trained, tmp_path, "--revision", "fim", "--to", "someone/copy"
    )
    history = hub.repositories["someone/copy"].branches["fim"].history
    assert [commit.title for commit in history] == [
        "Step 300: 300,000 tokens, validation loss 3.0000",
        "Step 200: 200,000 tokens, validation loss 2.0000",
        "Step 100: 100,000 tokens, validation loss 1.0000",
        "initial commit",
    ]
    for ours, theirs in zip(checkpoints.log("test/tiny", "fim", store=trained), history, strict=False):
        files = {name: content for name, content in theirs.files.items() if name != ".gitattributes"}
        assert files == files_of(checkpoints.resolve("test/tiny", ours.sha, store=trained))


def test_a_second_push_sends_only_what_is_new(
    hub: LocalHub, trained: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    push(hub, trained, tmp_path, "--revision", "fim")
    assert "3 of 3 commits are already" in push(hub, trained, tmp_path, "--revision", "fim")
    checkpoints.publish(random_model(9), tokenizer, "test/tiny", "fim", step=400, store=trained)
    assert "3 of 4 commits are already" in push(hub, trained, tmp_path, "--revision", "fim")
    push(hub, trained, tmp_path)
    branches = hub.repositories["test/tiny"].branches
    assert [len(branches[name].history) for name in ("fim", "main")] == [5, 2]


@pytest.mark.parametrize(
    "arguments,settings,sentence",
    [
        (["--revision", "nope"], {}, "no branch 'nope' of 'test/tiny' in .*: main, fim"),
        ([], {"token": "hf_stranger"}, "The Hub refused test/tiny"),
        ([], {"offline": True}, "HF_HUB_OFFLINE is set"),
        (["--to", "../etc"], {}, "is not a model name"),
    ],
)
def test_a_push_that_cannot_be_is_a_sentence(
    hub: LocalHub, trained: Path, tmp_path: Path, arguments: list[str], settings: dict, sentence: str
) -> None:
    assert re.search(sentence, push(hub, trained, tmp_path, *arguments, **settings))


def test_what_was_pushed_is_listed_and_loaded_from_the_hub_and_then_without_it(
    hub: LocalHub, trained: Path, tmp_path: Path
) -> None:
    push(hub, trained, tmp_path, "--revision", "fim")
    push(hub, trained, tmp_path, "--revision", "main")
    heads = {name: commit.sha for name, commit in hub.repositories["test/tiny"].branches.items()}
    assert ask(hub, "checkpoints.branches('test/tiny', store=store)", tmp_path) == heads

    entries = ask(hub, "checkpoints.log('test/tiny', 'fim', store=store)", tmp_path)
    assert isinstance(entries, list)
    history = hub.repositories["test/tiny"].branches["fim"].history
    assert [(entry["sha"], entry["parent"], entry["title"]) for entry in entries] == [
        (commit.sha, commit.parent.sha if commit.parent else None, commit.title) for commit in history
    ]
    assert [(entry["step"], entry["validation_loss"]) for entry in entries] == [
        (300, 3.0), (200, 2.0), (100, 1.0), (None, None),
    ]  # fmt: skip

    weight = "checkpoints.load('test/tiny', {!r}, store=store)[0].transformer.wte.weight[0, 0].item()"
    middle = history[1].sha
    values = [ask(hub, weight.format(revision), tmp_path) for revision in ("fim", middle[:8], "final")]
    expected = [random_model(seed).transformer.wte.weight[0, 0].item() for seed in (300, 200, 0)]
    assert values == expected
    hub.requests.clear()
    for online in (True, False):
        cached = [ask(hub, weight.format(name), tmp_path, offline=not online) for name in ("fim", middle[:8], "main")]
        assert cached == expected
    assert not hub.requests

    assert ask(hub, "checkpoints.branches('test/tiny', store=store)", tmp_path, offline=True) == heads
    offline_log = ask(hub, "checkpoints.log('test/tiny', 'fim', store=store)", tmp_path, offline=True)
    assert isinstance(offline_log, list) and offline_log[0]["step"] == 300


def test_only_one_kind_of_weights_is_downloaded(hub: LocalHub, trained: Path, tmp_path: Path) -> None:
    files = files_of(checkpoints.resolve("test/tiny", store=trained))
    repository = hub.repositories["org/both"] = HubRepository()
    repository.commit("main", "add", {**files, "pytorch_model.bin": b"x" * 999, "modeling_gpt2_mq.py": b"1/0"})
    folder = ask(hub, "checkpoints.resolve('org/both', store=store)", tmp_path)
    names = {path.name for path in Path(str(folder)).iterdir()}
    assert "model.safetensors" in names and not names & {"pytorch_model.bin", "modeling_gpt2_mq.py"}


def test_a_download_that_was_broken_off_is_taken_up_again(hub: LocalHub, trained: Path, tmp_path: Path) -> None:
    push(hub, trained, tmp_path)
    folder = Path(str(ask(hub, "checkpoints.resolve('test/tiny', store=store)", tmp_path)))
    (folder / "model.safetensors").unlink()
    sentence = str(ask(hub, "checkpoints.resolve('test/tiny', store=store)", tmp_path, offline=True))
    assert "There is no model 'test/tiny' at 'main' in" in sentence
    ask(hub, "checkpoints.resolve('test/tiny', store=store)", tmp_path)
    assert (folder / "model.safetensors").exists()


@pytest.mark.parametrize("call", ["branches({})", "log({}, 'mha')", "resolve({}, 'mha')", "load({}, 'mha')"])
def test_offline_what_is_not_cached_is_said_with_how_to_get_it(hub: LocalHub, tmp_path: Path, call: str) -> None:
    call = call.format("'bigcode/santacoder'").replace(")", ", store=store)")
    answer = ask(hub, f"checkpoints.{call}", tmp_path, offline=True)
    assert isinstance(answer, dict)
    how = r" To have it here, run `hf download bigcode/santacoder --revision mha` where there is a network\."
    assert re.fullmatch(
        r"There is no model 'bigcode/santacoder'( at 'mha')? in .*empty \(it holds: nothing yet\) or in the Hugging "
        r"Face cache\. HF_HUB_OFFLINE is set, so the Hub was not asked\." + ("" if "branches" in call else how),
        answer["sentence"],
    )
    assert not hub.requests


def test_offline_the_cached_branches_are_named(hub: LocalHub, trained: Path, tmp_path: Path) -> None:
    push(hub, trained, tmp_path)
    ask(hub, "checkpoints.resolve('test/tiny', store=store)", tmp_path)
    answer = ask(hub, "checkpoints.resolve('test/tiny', 'stars', store=store)", tmp_path, offline=True)
    assert answer == {
        "sentence": "The Hugging Face cache has test/tiny at main, but not at 'stars'. HF_HUB_OFFLINE is set, so the "
        "Hub was not asked. To have it here, run `hf download test/tiny --revision stars` where there is a network."
    }


@pytest.mark.parametrize("revision", ["../../etc", "/etc", "", "refs/pr/1", "..", "a b", "-x"])
def test_a_revision_that_is_no_name_is_refused(hub: LocalHub, tmp_path: Path, revision: str) -> None:
    answer = ask(hub, f"checkpoints.resolve('bigcode/santacoder', {revision!r}, store=store)", tmp_path)
    assert answer == {"sentence": f"{revision!r} is neither a branch nor a commit of bigcode/santacoder."}
    assert not hub.requests


@pytest.mark.parametrize(
    "repo_id,revision,sentence",
    [
        ("org/none", "main", "There is no model 'org/none' on the Hub, or it is private"),
        ("test/tiny", "nope", "test/tiny has no revision 'nope' on the Hub. Its branches are: main."),
        ("test/tiny", "0" * 40, "test/tiny has no revision '0{40}' on the Hub"),
        ("test/tiny", "00000", "test/tiny has no revision '00000' on the Hub"),
    ],
)
def test_what_the_hub_has_not_is_said(
    hub: LocalHub, trained: Path, tmp_path: Path, repo_id: str, revision: str, sentence: str
) -> None:
    push(hub, trained, tmp_path)
    answer = ask(hub, f"checkpoints.resolve({repo_id!r}, {revision!r}, store=store)", tmp_path)
    assert isinstance(answer, dict) and re.match(sentence, answer["sentence"])


def test_a_hub_that_is_down_is_said(hub: LocalHub, tmp_path: Path) -> None:
    hub.url = "http://127.0.0.1:9"
    answer = ask(hub, "checkpoints.resolve('org/name', store=store)", tmp_path)
    assert isinstance(answer, dict) and "The Hub could not be reached (" in answer["sentence"]


def test_a_model_in_the_store_is_never_asked_for_elsewhere(hub: LocalHub, trained: Path, tmp_path: Path) -> None:
    calls = "[checkpoints.branches('test/tiny', store=store), checkpoints.resolve('test/tiny', 'nope', store=store)]"
    result = hub.run("-c", CALL, str(trained), calls, home=tmp_path / "home")
    assert "test/tiny has no revision 'nope'. Its branches are: main, fim." in result.stdout
    assert not hub.requests


def test_main_and_final_are_one_branch(tmp_path: Path, tokenizer: Tokenizer) -> None:
    final = checkpoints.publish(random_model(1), tokenizer, "a/b", "final", store=tmp_path)
    assert checkpoints.resolve("a/b", "main", store=tmp_path).name == final
    assert checkpoints.log("a/b", "main", store=tmp_path)[0].sha == final
    main = checkpoints.publish(random_model(2), tokenizer, "a/b", "main", store=tmp_path)
    found = {name: checkpoints.resolve("a/b", name, store=tmp_path).name for name in ("main", "final")}
    assert found == {"main": main, "final": final}


def test_the_eight_experiments_are_described() -> None:
    assert list(EXPERIMENTS) == ["mha", "no-fim", "fim", "stars", "fertility", "comments", "dedup-alt", "final"]
    assert experiment("main") is EXPERIMENTS["final"] and experiment("mine") is None
    assert len({entry.description for entry in EXPERIMENTS.values()}) == 8
    assert EXPERIMENTS["mha"].description == (
        "multi-head attention · left to right and fill-in-the-middle · base filters"
    )
