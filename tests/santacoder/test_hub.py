"""Models on a Hub and in the user's cache, through ``huggingface_hub`` and a server on loopback."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from santacoder import checkpoints
from santacoder.checkpoints import hub as hub_module
from santacoder.checkpoints.__main__ import main
from santacoder.checkpoints.download_limits import (
    require_fitting_weights,
    require_small_descriptions,
)
from santacoder.config import SantaCoderConfig
from santacoder.experiments import EXPERIMENTS, experiment
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model, write_adapter
from tests.santacoder.local_hub import Client, HubRepository, LocalHub, local_hub


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[LocalHub, Client]]:
    """A Hub, and a process that uses it."""
    with local_hub() as server:
        client = Client(server)
        yield server, client
        client.close()


@pytest.fixture
def hub(running: tuple[LocalHub, Client]) -> LocalHub:
    server = running[0]
    server.repositories.clear()
    server.requests.clear()
    server.ranges.clear()
    server.gated.clear()
    server.down, server.cut_after, server.redirects = False, None, False
    return server


@pytest.fixture
def ask(running: tuple[LocalHub, Client], tmp_path: Path) -> Callable[..., Any]:
    """Evaluates an expression in a process with the test's own cache and an empty store."""

    def ask(expression: str, *, offline: bool = False, **settings: str) -> Any:
        value = running[1].call(tmp_path / "home", expression, offline=offline, **settings)
        assert not (isinstance(value, dict) and "bug" in value), value
        return value

    return ask


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


def push(trained: Path, branch: str = "main", to: str = "test/tiny") -> str:
    """The expression that pushes a branch and returns what was reported."""
    store = f"Path({str(trained)!r})"
    return f"push('test/tiny', {branch!r}, {to!r}, store={store}, report=reports.append) or reports"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_branch_is_pushed_commit_by_commit(hub: LocalHub, ask: Callable[..., Any], trained: Path) -> None:
    reports = ask(push(trained, "fim", "someone/copy"))
    assert reports[0] == "0 of 3 commits are already at someone/copy@fim." and len(reports) == 4
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
    hub: LocalHub, ask: Callable[..., Any], trained: Path, tokenizer: Tokenizer
) -> None:
    ask(push(trained, "fim"))
    assert ask(push(trained, "fim")) == ["3 of 3 commits are already at test/tiny@fim."]
    checkpoints.publish(random_model(9), tokenizer, "test/tiny", "fim", step=400, store=trained)
    assert ask(push(trained, "fim"))[0] == "3 of 4 commits are already at test/tiny@fim."
    ask(push(trained))
    branches = hub.repositories["test/tiny"].branches
    assert [len(branches[name].history) for name in ("fim", "main")] == [5, 2]


def test_a_push_leaves_the_work_of_others_alone(
    hub: LocalHub, ask: Callable[..., Any], trained: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    repository = hub.repositories["test/tiny"] = HubRepository()
    repository.commit("main", "add", {"LICENSE": b"mine"})
    ask(push(trained))
    assert repository.branches["main"].files["LICENSE"] == b"mine"
    checkpoints.publish(random_model(1), tokenizer, "test/tiny", "main", step=7, store=tmp_path / "another")
    answer = ask(push(tmp_path / "another"))
    assert answer["sentence"].startswith("test/tiny@main ends with a commit that is not in the store")
    assert len(repository.branches["main"].history) == 3


def test_a_push_that_cannot_be_is_a_sentence(hub: LocalHub, ask: Callable[..., Any], trained: Path) -> None:
    answers = {
        "no branch 'nope' of 'test/tiny' in .*: main, fim": ask(push(trained, "nope")),
        "The Hub refused test/tiny .*; log in": ask(push(trained), token="hf_stranger"),
        "HF_HUB_OFFLINE is set": ask(push(trained), offline=True),
        "is not a model name": ask(push(trained, to="../etc")),
    }
    for sentence, answer in answers.items():
        assert re.search(sentence, answer["sentence"]), answer
    assert not hub.repositories


def test_the_command_pushes_and_says_what_is_wrong(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Offline, like all tests: from the arguments to the last printed line."""
    monkeypatch.setattr(sys, "argv", ["checkpoints", "push", "--repo", "test/tiny", "--store", str(trained)])
    assert main() == 1
    assert capsys.readouterr().err == "HF_HUB_OFFLINE is set, so the Hub was not contacted.\n"


def test_what_was_pushed_is_listed_and_loaded_from_the_hub_and_then_without_it(
    hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    ask(push(trained, "fim"))
    ask(push(trained))
    heads = {name: commit.sha for name, commit in hub.repositories["test/tiny"].branches.items()}
    assert ask("checkpoints.branches('test/tiny', store=store)") == heads

    entries = ask("checkpoints.log('test/tiny', 'fim', store=store)")
    history = hub.repositories["test/tiny"].branches["fim"].history
    assert [(entry["sha"], entry["parent"], entry["title"]) for entry in entries] == [
        (commit.sha, commit.parent.sha if commit.parent else None, commit.title) for commit in history
    ]
    measured = [(entry["step"], entry["validation_loss"]) for entry in entries]
    assert measured == [(300, 3.0), (200, 2.0), (100, 1.0), (None, None)]

    weight = "checkpoints.load('test/tiny', {!r}, store=store)[0].transformer.wte.weight[0, 0].item()"
    middle = history[1].sha
    expected = [random_model(seed).transformer.wte.weight[0, 0].item() for seed in (300, 200, 0)]
    assert [ask(weight.format(revision)) for revision in ("fim", middle[:8], "final")] == expected
    hub.requests.clear()
    for offline in (False, True):
        cached = [ask(weight.format(name), offline=offline) for name in ("fim", middle[:8], "main")]
        assert cached == expected
    assert not hub.requests
    assert ask("checkpoints.branches('test/tiny', store=store)", offline=True) == heads
    assert ask("checkpoints.log('test/tiny', 'fim', store=store)", offline=True)[0]["step"] == 300


def test_only_one_kind_of_weights_is_downloaded(hub: LocalHub, ask: Callable[..., Any], trained: Path) -> None:
    files = files_of(checkpoints.resolve("test/tiny", store=trained))
    repository = hub.repositories["org/both"] = HubRepository()
    repository.commit("main", "add", {**files, "pytorch_model.bin": b"x" * 999, "modeling_gpt2_mq.py": b"1/0"})
    names = {path.name for path in Path(ask("checkpoints.resolve('org/both', store=store)")).iterdir()}
    assert "model.safetensors" in names and not names & {"pytorch_model.bin", "modeling_gpt2_mq.py"}


def test_without_pytorch_only_a_model_with_a_graph_is_downloaded(
    hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    """It is gigabytes that could not be used."""
    files = files_of(checkpoints.resolve("test/tiny", store=trained))
    repository = hub.repositories["org/plain"] = HubRepository()
    repository.commit("main", "add", files)
    resolve = "unittest.mock.patch('santacoder.pytorch.is_installed', lambda: False)(checkpoints.resolve)"
    sentence = ask(f"{resolve}('org/plain', store=store)")["sentence"]
    assert sentence.startswith("org/plain has no ONNX graph to run, so it needs PyTorch, which this installation lacks")
    assert not [request for request in hub.requests if "/resolve/" in request]
    repository.commit("main", "add a graph", {**files, "onnx/model_int8.onnx": b"graph"})
    assert (Path(ask(f"{resolve}('org/plain', store=store)")) / "onnx" / "model_int8.onnx").read_bytes() == b"graph"


def changed_config(files: dict[str, bytes], **changes: Any) -> bytes:
    return json.dumps({**json.loads(files["config.json"]), **changes}).encode()


@pytest.mark.parametrize(
    "make,sentence",
    [
        (lambda files: {"config.json": changed_config(files, model_type="llama")}, "cannot be used"),
        (
            lambda files: {"config.json": b" " * 5_000_000},
            "config.json of org/bad has 5 MiB, more than the limit of 4 MiB",
        ),
        (lambda files: {"config.json": b"{"}, "config.json cannot be read"),
        (lambda files: {"commit.json": b" " * 5_000_000}, "commit.json of org/bad has 5 MiB"),
        (lambda files: {"tokenizer.json": b"{}"}, "tokenizer.json"),
        (lambda files: {"config.json": changed_config(files, vocab_size=7)}, "more than the 7 of the model"),
    ],
)
def test_what_cannot_be_used_is_known_before_weights_are_fetched(
    make: Callable[..., dict[str, bytes]], sentence: str, hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    files = files_of(checkpoints.resolve("test/tiny", store=trained))
    repository = hub.repositories["org/bad"] = HubRepository()
    repository.commit("main", "add", {**files, **make(files)})
    assert sentence in ask("checkpoints.resolve('org/bad', store=store)")["sentence"]
    fetched = [request for request in hub.requests if "/resolve/" in request]
    assert not [request for request in fetched if "model." in request or "onnx" in request]


@pytest.mark.parametrize(
    "sizes,sentence",
    [
        ({"tokenizer.json": 70_000_000}, "tokenizer.json of org/bad has 67 MiB, more than the limit of 64 MiB"),
        ({"model.safetensors": 70_000_000}, "The weights of org/bad have 0.1 GB; a model with its config.json"),
        ({"a-1.bin": 40_000_000, "a-2.bin": 40_000_000}, "The weights of org/bad have 0.1 GB"),
        ({"onnx/model.onnx": 600_000_000}, "The graphs of org/bad have 0.6 GB"),
    ],
)
def test_files_larger_than_such_a_model_has_are_not_fetched(sizes: dict[str, int], sentence: str) -> None:
    config = random_model().config
    published = SantaCoderConfig()
    with pytest.raises(checkpoints.CheckpointError, match=sentence):
        require_small_descriptions("org/bad", {name: n for name, n in sizes.items() if name == "tokenizer.json"})
        require_fitting_weights("org/bad", config, sizes)
    require_fitting_weights("bigcode/santacoder", published, {"pytorch_model.bin": 4_600_000_000})


def test_a_download_that_was_broken_off_is_taken_up_again(
    hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    ask(push(trained))
    call = "checkpoints.resolve('test/tiny', store=store)"
    weights = Path(ask(call)) / "model.safetensors"
    weights.unlink()
    assert "There is no model 'test/tiny' at 'main' in" in ask(call, offline=True)["sentence"]
    assert ask(call) and weights.exists()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_weights_continue_where_they_stopped(
    elsewhere: bool, hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    ask(push(trained))
    hub.redirects = elsewhere
    content = hub.repositories["test/tiny"].branches["main"].files["model.safetensors"]
    call = "checkpoints.resolve('test/tiny', store=store, report=lambda *seen: reports.append(seen)) and reports"
    hub.cut_after = 100_000  # the connection breaks off; the client keeps what it has in pieces of 10 MB
    assert ask(call)[-1] == [len(content), len(content)]

    blob = Path(ask("checkpoints.resolve('test/tiny', store=store)")) / "model.safetensors"
    blob, pointer = blob.resolve(), blob
    partial = blob.with_name(f"{blob.name}.santacoder.incomplete")
    for left in (content[:70_000], b"x" * 70_000):  # the process was killed, and the disk lost what it wrote
        pointer.unlink()
        blob.unlink()
        partial.write_bytes(left)
        hub.ranges.clear()
        answer = ask(call)
        assert left != content[:70_000] or answer == [[len(content), len(content)]]
        assert hub.ranges == [("model.safetensors", "bytes=70000-")]
    assert answer["sentence"] == "model.safetensors of test/tiny arrived damaged and was deleted; try again."
    assert ask(call) and blob.read_bytes() == content and not partial.exists()


def test_a_repository_with_terms_says_the_two_steps_and_takes_a_token(
    hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    ask(push(trained))
    hub.gated.add("test/tiny")
    call = "checkpoints.resolve('test/tiny', store=store)"
    assert ask(call, token="hf_stranger")["sentence"] == (
        f"test/tiny asks for its terms to be accepted. 1. Accept them, logged in, on {hub.url}/test/tiny. 2. Log in on "
        "this machine with `hf auth login`, or start the command with HF_TOKEN=… of that account; then try again."
    )
    assert ask(call, token="hf_owner")


def test_an_adapter_is_fetched_from_the_hub_with_its_two_files_alone(
    hub: LocalHub, ask: Callable[..., Any], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(push(trained))
    repository = hub.repositories["org/adapter"] = HubRepository()
    repository.commit("main", "add", {**files_of(write_adapter(tmp_path / "adapter")), "optimizer.pt": b"x" * 999})
    repository.commit("empty", "add", {"README.md": b"no adapter"})
    cache = f"os.environ.update(XDG_CACHE_HOME={str(tmp_path / 'xdg')!r})"
    snapshot = Path(ask(f"{cache} or checkpoints.resolve('test/tiny', 'main+org/adapter', store=store)"))
    assert {path.name for path in (snapshot / "adapter").iterdir()} == set(files_of(tmp_path / "adapter"))
    assert not [request for request in hub.requests if "optimizer.pt" in request]
    offline = ask(f"{cache} or checkpoints.resolve('test/tiny', 'main+org/adapter', store=store)", offline=True)
    assert Path(offline) == snapshot
    sentence = ask("checkpoints.resolve('test/tiny', 'main+org/adapter@empty', store=store)")["sentence"]
    assert sentence.startswith("org/adapter has no adapter_config.json and adapter_model.safetensors")


def test_an_adapter_continues_where_it_stopped(
    hub: LocalHub, ask: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    ask(push(trained))
    files = files_of(write_adapter(tmp_path / "adapter"))
    hub.repositories["org/adapter"] = HubRepository()
    hub.repositories["org/adapter"].commit("main", "add", files)
    weights = files["adapter_model.safetensors"]
    cache = f"os.environ.update(XDG_CACHE_HOME={str(tmp_path / 'xdg')!r})"
    arguments = "'test/tiny', 'main+org/adapter', store=store, report=lambda *seen: reports.append(seen)"
    call = f"{cache} or checkpoints.resolve({arguments}) and reports"
    assert ask(call)[-1] == [len(weights), len(weights)]
    (pointer,) = (tmp_path / "home").rglob("models--org--adapter/snapshots/*/adapter_model.safetensors")
    blob = pointer.resolve()
    pointer.unlink()
    blob.unlink()
    blob.with_name(f"{blob.name}.santacoder.incomplete").write_bytes(weights[:700])
    hub.ranges.clear()
    assert ask(call)[-1] == [len(weights), len(weights)] and blob.read_bytes() == weights
    assert hub.ranges == [("adapter_model.safetensors", "bytes=700-")]


def test_what_the_disk_has_no_room_for_is_not_begun(hub: LocalHub, ask: Callable[..., Any], trained: Path) -> None:
    ask(push(trained))
    fetch = "__import__('santacoder.checkpoints.resumable', fromlist=['fetch'])"
    huge = f"setattr({fetch}, '_SPARE_BYTES', {{}})"
    ask(huge.format(10**18))
    try:
        sentence = ask("checkpoints.resolve('test/tiny', store=store)")["sentence"]
    finally:
        ask(huge.format(256 << 20))
    assert re.match(r"test/tiny needs 0\.0 GB more on the disk of the Hugging Face cache, which has .* left", sentence)
    assert not [request for request in hub.requests if request.startswith("GET") and "model.safetensors" in request]


@pytest.mark.parametrize("call", ["branches({})", "log({}, 'mha')", "resolve({}, 'mha')", "load({}, 'mha')"])
def test_offline_what_is_not_cached_is_said_with_how_to_get_it(
    hub: LocalHub, ask: Callable[..., Any], call: str
) -> None:
    call = call.format("'bigcode/santacoder'").replace(")", ", store=store)")
    how = r" To get it, run `hf download bigcode/santacoder --revision mha` with a network connection\."
    assert re.fullmatch(
        r"There is no model 'bigcode/santacoder'( at 'mha')? in the store \(it holds: nothing yet\) or in the Hugging "
        r"Face cache\. HF_HUB_OFFLINE is set, so the Hub was not contacted\." + ("" if "branches" in call else how),
        ask(f"checkpoints.{call}", offline=True)["sentence"],
    )
    assert not hub.requests


def test_offline_the_cached_branches_are_named(hub: LocalHub, ask: Callable[..., Any], trained: Path) -> None:
    ask(push(trained))
    ask("checkpoints.resolve('test/tiny', store=store)")
    assert ask("checkpoints.resolve('test/tiny', 'stars', store=store)", offline=True) == {
        "sentence": "The Hugging Face cache has test/tiny at main, but not at 'stars'. HF_HUB_OFFLINE is set, so the "
        "Hub was not contacted. To get it, run `hf download test/tiny --revision stars` with a network connection."
    }


@pytest.mark.parametrize("revision", ["../../etc", "/etc", "", "refs/pr/1", "..", "a b", "-x"])
def test_a_revision_that_is_no_name_is_refused(hub: LocalHub, ask: Callable[..., Any], revision: str) -> None:
    for call in ("resolve", "load", "log"):
        answer = ask(f"checkpoints.{call}('bigcode/santacoder', {revision!r}, store=store)")
        assert answer == {"sentence": f"{revision!r} is neither a branch nor a commit of bigcode/santacoder."}
    assert not hub.requests


@pytest.mark.parametrize(
    "repo_id,revision,sentence",
    [
        ("org/none", "main", "There is no model 'org/none' on the Hub, or it asks for a login. 1. Look for it"),
        ("test/tiny", "nope", "test/tiny has no revision 'nope' on the Hub. Its branches are: main."),
        ("test/tiny", "0" * 40, "test/tiny has no revision '0{40}' on the Hub"),
        ("test/tiny", "00000", "test/tiny has no revision '00000' on the Hub"),
    ],
)
def test_what_the_hub_has_not_is_said(
    hub: LocalHub, ask: Callable[..., Any], trained: Path, repo_id: str, revision: str, sentence: str
) -> None:
    ask(push(trained))
    assert re.match(sentence, ask(f"checkpoints.resolve({repo_id!r}, {revision!r}, store=store)")["sentence"])


def test_a_hub_that_is_down_is_said(hub: LocalHub, ask: Callable[..., Any]) -> None:
    hub.down = True
    for call in ("branches('org/name'", "log('org/name', 'main'", "resolve('org/name'"):
        assert "The Hub could not be reached (" in ask(f"checkpoints.{call}, store=store)")["sentence"]


def test_a_model_in_the_store_is_never_asked_for_elsewhere(
    hub: LocalHub, ask: Callable[..., Any], trained: Path
) -> None:
    store = f"store=Path({str(trained)!r})"
    assert list(ask(f"checkpoints.branches('test/tiny', {store})")) == ["main", "fim"]
    assert ask(f"checkpoints.resolve('test/tiny', 'nope', {store})") == {
        "sentence": "test/tiny has no revision 'nope'. Its branches are: main, fim."
    }
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


def test_a_cache_named_relative_to_the_current_folder_is_found_from_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "cache")
    assert hub_module.cache() == tmp_path / "cache"
