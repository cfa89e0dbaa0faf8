"""The store: atomic publishing, resolving, and transformers reading it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.checkpoints.publishing import copy_branch
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from tests.python_process import PythonProcess


@pytest.fixture
def published(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A separate store with one commit of ``test/tiny``, for tests that damage it."""
    checkpoints.publish(random_model(), tokenizer, "test/tiny", dtype=torch.float32, store=tmp_path)
    return tmp_path


@pytest.mark.parametrize("multi_query", [True, False])
def test_what_is_published_is_loaded(tmp_path: Path, tokenizer: Tokenizer, multi_query: bool) -> None:
    model = random_model(multi_query=multi_query)
    checkpoints.publish(model, tokenizer, "test/tiny", dtype=torch.float32, store=tmp_path)
    loaded, loaded_tokenizer = checkpoints.load("test/tiny", store=tmp_path)
    assert loaded.config.n_kv_head == model.config.n_kv_head and not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert loaded_tokenizer.encode("def f(): 12") == tokenizer.encode("def f(): 12")


def test_dtype_is_as_asked(published: Path) -> None:
    model, _ = checkpoints.load("test/tiny", dtype=torch.bfloat16, store=published)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@torch.no_grad()
def test_transformers_loads_each_branch_by_name(store: Path) -> None:
    input_ids = torch.tensor([[5, 6, 7, 8]])
    logits = {}
    for branch in ("main", "other"):
        twin = AutoModelForCausalLM.from_pretrained("test/tiny", revision=branch, cache_dir=store)
        ours, tokenizer = checkpoints.load("test/tiny", branch, store=store)
        logits[branch] = ours(input_ids)
        torch.testing.assert_close(twin(input_ids).logits, logits[branch], atol=1e-4, rtol=1e-4)
        reader = AutoTokenizer.from_pretrained("test/tiny", revision=branch, cache_dir=store)
        assert reader.encode("x = 1<|endoftext|>") == tokenizer.encode("x = 1<|endoftext|>", allow_special=True)
        assert reader.eos_token_id == twin.config.eos_token_id == tokenizer.end_of_text_id
    assert not torch.allclose(logits["main"], logits["other"])


def test_a_branch_is_a_list_of_commits(tmp_path: Path, tokenizer: Tokenizer) -> None:
    shas = [
        checkpoints.publish(
            random_model(seed),
            tokenizer,
            "a/b",
            "fim",
            step=seed,
            tokens=seed * 10,
            validation_loss=3.5,
            store=tmp_path,
        )
        for seed in range(3)
    ]
    commits = checkpoints.log("a/b", "fim", store=tmp_path)
    assert [commit.sha for commit in commits] == shas[::-1]
    assert [(commit.step, commit.tokens, commit.validation_loss) for commit in commits] == [
        (2, 20, 3.5),
        (1, 10, 3.5),
        (0, 0, 3.5),
    ]
    assert checkpoints.branches("a/b", store=tmp_path) == {"fim": shas[-1]}
    assert checkpoints.repositories(tmp_path) == ["a/b"]
    assert checkpoints.has_repository(tmp_path, "a/b")
    for name in ("a/c", "a", "a/b/c", "../b", "a/../b", "", "a/b\0", "a--b/c", "a" * 5000 + "/b"):
        assert not checkpoints.has_repository(tmp_path, name)
    assert checkpoints.resolve("a/b", shas[0], store=tmp_path).name == shas[0]
    assert checkpoints.resolve("a/b", shas[0][:10], store=tmp_path).name == shas[0]


def test_a_new_branch_begins_a_history_of_its_own(store: Path) -> None:
    assert len(checkpoints.log("test/tiny", "main", store=store)) == 1
    assert list(checkpoints.branches("test/tiny", store=store)) == ["main", "other"]


@pytest.mark.parametrize("revision", ["nope", "../../etc", "", "main/../main", "0000000", "refs"])
def test_an_unknown_revision_is_answered_with_the_known_ones(store: Path, revision: str) -> None:
    with pytest.raises(CheckpointError, match="has no revision .* Its branches are: main, other"):
        checkpoints.resolve("test/tiny", revision, store=store)


@pytest.mark.parametrize("repo_id", ["test/absent", "../x", "a/b/c", "plain", "", "/etc", "a--b/c"])
def test_an_unknown_model_is_a_sentence(store: Path, repo_id: str) -> None:
    with pytest.raises(CheckpointError, match="There is no model|is not a model name|is not a checkpoint"):
        checkpoints.load(repo_id, store=store)


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_a_truncated_weights_file_is_named(published: Path, keep: float) -> None:
    weights = checkpoints.resolve("test/tiny", store=published) / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or truncated"):
        checkpoints.load("test/tiny", store=published)


def test_a_corrupt_header_is_named(published: Path) -> None:
    weights = checkpoints.resolve("test/tiny", store=published) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[8:40] = os.urandom(32)
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or truncated"):
        checkpoints.load("test/tiny", store=published)


def test_missing_and_misshapen_tensors_are_named(published: Path) -> None:
    path = checkpoints.resolve("test/tiny", store=published) / "model.safetensors"
    weights = load_file(path)
    name = "transformer.h.1.attn.c_proj.weight"
    save_file({**weights, name: weights[name][:10].clone()}, path)
    with pytest.raises(CheckpointError, match=rf"{name} has shape \[10, 64\], but config.json requires \[64, 64\]"):
        checkpoints.load("test/tiny", store=published)
    save_file({key: value for key, value in weights.items() if key != name}, path)
    with pytest.raises(CheckpointError, match=f"lacks the tensor {name}"):
        checkpoints.load("test/tiny", store=published)


@pytest.mark.parametrize(
    "file,content,sentence",
    [
        ("config.json", "{", "config.json cannot be read"),
        ("config.json", '{"model_type": "llama"}', "model_type is 'llama'"),
        ("config.json", "[]", "config.json cannot be used"),
        ("config.json", None, "config.json is missing"),
        ("tokenizer.json", "{}", "tokenizer.json is not a readable tokenizer"),
        ("model.safetensors", None, "model.safetensors is missing"),
    ],
)
def test_a_damaged_or_missing_file_is_named(published: Path, file: str, content: str | None, sentence: str) -> None:
    path = checkpoints.resolve("test/tiny", store=published) / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(CheckpointError, match=sentence):
        checkpoints.load("test/tiny", store=published)


def test_bad_branch_names_are_refused(published: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match="is not a branch name"):
        checkpoints.publish(random_model(), tokenizer, "test/tiny", "../main", store=published)


PUBLISHER = """
import sys, torch
from pathlib import Path
from santacoder import checkpoints
from tests.conftest import random_model
model, tokenizer = checkpoints.load("test/tiny", store=Path(sys.argv[1]))
print("ready", flush=True)
for step in range(1, 10_000):
    checkpoints.publish(random_model(step), tokenizer, "test/tiny", step=step, store=Path(sys.argv[1]))
"""


def test_a_kill_while_publishing_leaves_the_old_state_or_the_new_one(published: Path) -> None:
    for attempt in range(4):
        process = PythonProcess("-c", PUBLISHER, str(published), quiet=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.053 * attempt)
        process.kill()
        process.communicate()
        model, _ = checkpoints.load("test/tiny", store=published)
        commits = checkpoints.log("test/tiny", store=published)
        assert commits[-1].parent is None
        expected = random_model(commits[0].step).transformer.wte.weight.detach()
        torch.testing.assert_close(model.transformer.wte.weight, expected, atol=1e-2, rtol=1e-2)


SEVERAL = """
import sys, time
from pathlib import Path
from santacoder import checkpoints
from tests.conftest import random_model
store, number, start = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
_, tokenizer = checkpoints.load("test/tiny", store=store)
print("ready", flush=True)
while not start.exists():
    time.sleep(0.001)
for turn in range(4):
    if number % 2:
        checkpoints.add_files("test/tiny", "main", {f"{number}-{turn}.txt": b"found out later"}, store=store)
    else:
        checkpoints.publish(random_model(number), tokenizer, "test/tiny", step=10 * number + turn, store=store)
"""


def test_processes_that_publish_at_once_lose_no_commit(published: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    arguments = [(str(published), str(number), str(start)) for number in range(4)]
    processes = [PythonProcess("-c", SEVERAL, *each, quiet=True) for each in arguments]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    start.touch()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    commits = checkpoints.log("test/tiny", store=published)
    assert len(commits) == 1 + 4 * 4 and commits[-1].parent is None
    assert {commit.sha for commit in commits} == {
        path.name for path in (published / "models--test--tiny/snapshots").iterdir()
    }


def test_what_a_kill_left_is_swept_by_the_next_publication(published: Path, tokenizer: Tokenizer) -> None:
    repo = published / "models--test--tiny"
    left = repo / ".incomplete-abcdef12"
    left.mkdir()
    (left / "model.safetensors").write_bytes(bytes(1000))
    (repo / "refs" / ".main.12345.incomplete").write_text("0" * 40)
    (repo / "refs" / ".notes").write_text("not ours")
    checkpoints.add_files("test/tiny", "main", {"a.txt": b"a"}, store=published)
    assert not left.exists() and not list(repo.glob(".incomplete-*"))
    assert sorted(path.name for path in (repo / "refs").iterdir()) == [".notes", "main"]


def test_a_full_disk_while_publishing_leaves_the_branch(published: Path, tokenizer: Tokenizer) -> None:
    """A limit on file sizes simulates a full disk: both make the write fail with an OSError."""
    before = checkpoints.branches("test/tiny", store=published)
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from santacoder import checkpoints; from tests.conftest import random_model\n"
        "store = Path(sys.argv[1]); _, tokenizer = checkpoints.load('test/tiny', store=store)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    checkpoints.publish(random_model(9), tokenizer, 'test/tiny', store=store)\n"
        "except OSError as error:\n    print('refused:', error)\n"
    )
    out, err = PythonProcess("-c", script, str(published), quiet=True).communicate()
    assert out.startswith("refused:"), out + err
    assert checkpoints.branches("test/tiny", store=published) == before
    assert checkpoints.load("test/tiny", store=published)
    assert not list(published.glob("**/.incomplete*"))


def test_the_commit_file_is_plain_json(published: Path) -> None:
    commit = json.loads((checkpoints.resolve("test/tiny", store=published) / "commit.json").read_text())
    assert set(commit) == {"branch", "parent", "step", "tokens", "validation_loss", "date", "metrics"}


def test_files_are_added_as_a_commit_behind_the_newest(published: Path, tmp_path: Path) -> None:
    before = checkpoints.resolve("test/tiny", store=published)
    graph = tmp_path / "graph"
    graph.write_bytes(b"graph")
    files = {"eval.json": b"{}", "onnx/model.onnx": graph}
    sha = checkpoints.add_files("test/tiny", "main", files, store=published)
    after = checkpoints.resolve("test/tiny", store=published)
    assert after.name == sha and (after / "eval.json").read_bytes() == b"{}"
    assert (after / "onnx" / "model.onnx").read_bytes() == b"graph"
    assert [commit.sha for commit in checkpoints.log("test/tiny", store=published)] == [sha, before.name]
    for name in ("model.safetensors", "tokenizer.json"):
        assert (after / name).samefile(before / name)
    assert sorted(path.name for path in before.iterdir()).count("eval.json") == 0
    # a file of the same name is another one; the commit before keeps its own
    checkpoints.add_files("test/tiny", "main", {"eval.json": b"[]"}, store=published)
    assert (after / "eval.json").read_bytes() == b"{}"
    assert not [path for path in (published / "models--test--tiny").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("repo_id", "branch"), [("test/tiny", "absent"), ("test/absent", "main")])
def test_files_need_a_branch(published: Path, repo_id: str, branch: str) -> None:
    with pytest.raises(CheckpointError, match="There is no branch"):
        checkpoints.add_files(repo_id, branch, {}, store=published)


def test_a_branch_is_copied_with_one_commit_for_each_step(
    tokenizer: Tokenizer, tmp_path: Path, published: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for step in (10, 20):
        checkpoints.publish(random_model(step), tokenizer, "test/tiny", "mine", step=step, store=source)
        checkpoints.add_files("test/tiny", "mine", {"onnx/graph": b"graph"}, store=source)
        newest = checkpoints.add_files("test/tiny", "mine", {"eval.json": b"{}"}, store=source)
    sha = copy_branch("test/tiny", "mine", source, target)
    commits = checkpoints.log("test/tiny", "mine", store=target)
    assert [commit.step for commit in commits] == [20, 10] and commits[0].sha == sha
    files = {path.name for path in checkpoints.resolve("test/tiny", "mine", store=target).rglob("*") if path.is_file()}
    there = checkpoints.resolve("test/tiny", newest, store=source)
    assert files == {path.name for path in there.rglob("*") if path.is_file()} and {"graph", "eval.json"} < files
    assert copy_branch("test/tiny", "mine", source, target) == sha  # done again, it is the same
    copy_branch("test/tiny", "mine", source, tmp_path / "short", n_commits=1)
    assert [commit.step for commit in checkpoints.log("test/tiny", "mine", store=tmp_path / "short")] == [20]
    with pytest.raises(CheckpointError, match="There is no branch 'absent' of 'test/tiny'"):
        copy_branch("test/tiny", "absent", source, target)
