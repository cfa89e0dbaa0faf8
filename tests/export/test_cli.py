"""``python -m export`` as a user runs it, and the server with its output."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from app.model_pool import Models, ServedModel
from app.settings import Settings
from export import publish
from export.__main__ import main
from export.graph import write_graph
from export.precisions import PRECISIONS
from export.verify import Verification
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model, write_adapter

REPO = "test/exported"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A store with graphs of its model in fp32 and int8."""
    store = tmp_path_factory.mktemp("exported")
    checkpoints.publish(random_model(vocab_size=tokenizer.vocab_size), tokenizer, REPO, store=store)
    assert main([REPO, "--store", str(store), "--precision", "fp32", "int8"]) in (0, 1)
    return store


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the store for one test."""
    return Path(shutil.copytree(exported, tmp_path / "store"))


def serve(store: Path, runner: str) -> Iterator[ServedModel]:
    models = Models(Settings(store=store, model=REPO, device="cpu", runner=runner))  # type: ignore[arg-type]
    served = models.acquire(REPO, "main")
    yield served
    served.release()
    models.close()


def text_of(served: ServedModel) -> str:
    request = CompletionRequest("def f(x):\n", sampling=SamplingParams(temperature=0, max_new_tokens=20))
    return "".join(event.text for event in served.engine.submit(request))


def test_graphs_are_a_commit_with_figures_and_a_table(exported: Path) -> None:
    newest, first = checkpoints.log(REPO, store=exported)
    snapshot = checkpoints.resolve(REPO, store=exported)
    assert newest.parent == first.sha
    assert {"model.onnx", "model.onnx_data"} <= {path.name for path in (snapshot / "onnx").iterdir()}
    figures = json.loads((snapshot / "onnx" / "verification.json").read_text())
    assert figures[0]["precision"] == "fp32" and figures[0]["agreement"] == 1
    assert "| fp32 |" in (snapshot / "README.md").read_text()


def test_exporting_again_replaces_the_table(copy: Path) -> None:
    main([REPO, "--store", str(copy), "--precision", "fp32"])
    assert (checkpoints.resolve(REPO, store=copy) / "README.md").read_text().count("## ONNX graphs") == 1


def test_the_server_prefers_a_graph_and_says_so(copy: Path) -> None:
    texts = {}
    for runner, label in (("torch", "torch, fp32, cpu"), ("auto", "onnx, fp32, cpu"), ("onnx", "onnx, fp32, cpu")):
        for path in checkpoints.resolve(REPO, store=copy).glob("onnx/model_int8*"):
            path.unlink()
        for served in serve(copy, runner):
            assert label in served.runner_label and served.notices == ()
            texts[runner] = text_of(served)
    assert texts["torch"] == texts["auto"] == texts["onnx"]


@pytest.mark.parametrize(
    "damage,sentence",
    [
        (lambda graph: graph.write_bytes(b"no graph"), "cannot be used by ONNX Runtime"),
        (lambda graph: data_of(graph).unlink(), "cannot be used by ONNX Runtime"),
        (lambda graph: data_of(graph).write_bytes(data_of(graph).read_bytes()[:-5000]), "cannot be used|is damaged"),
        (lambda graph: flip_a_byte(data_of(graph)), "is damaged: its contents are not those"),
        (lambda graph: future_opset(graph), "cannot be used by ONNX Runtime"),
    ],
)
def test_a_graph_that_cannot_be_used_gives_way_with_a_notice(copy: Path, damage, sentence: str) -> None:
    snapshot = checkpoints.resolve(REPO, store=copy)
    for path in snapshot.glob("onnx/model_int8*"):
        path.unlink()
    damage(snapshot / "onnx" / "model.onnx")
    for served in serve(copy, "auto"):
        assert "torch, fp32, cpu" in served.runner_label
        assert len(served.notices) == 1
        with pytest.raises(AssertionError, match=sentence):
            raise AssertionError(served.notices[0])
        assert text_of(served)
    with pytest.raises(CheckpointError, match=sentence):
        next(serve(copy, "onnx"))


def data_of(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}_data")


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.unlink()  # it may be a link to another commit's
    path.write_bytes(content)


def future_opset(graph: Path) -> None:
    model = onnx.load(graph, load_external_data=False)
    model.opset_import[0].version = 999
    onnx.save(model, graph)


def test_without_a_graph_onnx_is_a_sentence(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints.publish(random_model(), tokenizer, REPO, store=tmp_path)
    with pytest.raises(CheckpointError, match="has no ONNX graph for cpu; write one with python -m export"):
        next(serve(tmp_path, "onnx"))


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        (["test/none"], "test/none"),
        ([REPO, "--revision", "nope"], "has no revision 'nope'"),
        ([REPO, "--validation", "/nowhere.py"], "/nowhere.py"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    exported: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main([*arguments, "--store", str(exported)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_graph_out_of_tolerance_is_not_published(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random weights do not degrade in 4 bits, so the tolerance is set to an impossible value."""
    monkeypatch.setitem(PRECISIONS, "int4", replace(PRECISIONS["int4"], tolerance=-1.0))
    before = checkpoints.resolve(REPO, store=copy)
    assert main([REPO, "--store", str(copy), "--precision", "int4"]) == 1
    assert "more than the tolerance of -100.00%; the graph is not published" in capsys.readouterr().err
    assert checkpoints.resolve(REPO, store=copy) == before


def test_bf16_asks_for_a_gpu(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([REPO, "--store", str(copy), "--precision", "bf16"]) == 1
    assert "run only on a GPU" in capsys.readouterr().err


def test_a_revision_with_an_adapter_is_exported_to_the_users_cache(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tensor by tensor, without loading the model; the original's graphs are another revision's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    revision = f"main+{write_adapter(tmp_path / 'adapter')}"
    for _ in range(2):  # the second time it is there
        assert main([REPO, "--revision", revision, "--store", str(copy), "--precision", "fp32", "auto"]) == 0
    (graph, _) = sorted((tmp_path / "cache" / "santacoder" / "graphs").rglob("*.onnx"))
    assert str(graph) in capsys.readouterr().out
    model, _ = checkpoints.load(REPO, revision, store=copy)
    ids = list(range(3, 40))
    logits = OnnxRunner(graph, model.config).prefill(0, ids, 0, len(ids))
    with torch.inference_mode():
        np.testing.assert_allclose(logits, model(torch.tensor([ids]))[0], rtol=1e-3, atol=1e-3)


def test_figures_of_earlier_graphs_stay(copy: Path, tmp_path: Path) -> None:
    """Each beside that of PyTorch on the same text, which may be another."""
    (tmp_path / "text.py").write_text("def add(one, other):\n    return one + other\n" * 9)
    card = checkpoints.resolve(REPO, store=copy) / "README.md"
    checkpoints.add_files(REPO, "main", {card.name: f"{card.read_text()}\n## Notes\nOurs.\n".encode()}, store=copy)
    flags = ["--precision", "int4", "--validation", str(tmp_path / "text.py")]
    assert main([REPO, "--store", str(copy), *flags]) in (0, 1)
    snapshot = checkpoints.resolve(REPO, store=copy)
    figures = json.loads((snapshot / "onnx" / "verification.json").read_text())
    graphs = {path.stem.removeprefix("model").strip("_") or "fp32" for path in (snapshot / "onnx").glob("*.onnx")}
    assert {entry["precision"] for entry in figures} == graphs and "fp32" in graphs
    text = (snapshot / "README.md").read_text()
    assert "| fp32 |" in text and "## Notes\nOurs." in text and text.count("## ONNX graphs") == 1
    assert len({entry["bits_per_byte_of_reference"] for entry in figures}) == 2
    for entry in figures:
        row = next(line for line in text.splitlines() if line.startswith(f"| {entry['precision']} |"))
        assert f"| {entry['bits_per_byte']:.4f} | {entry['bits_per_byte_of_reference']:.4f} |" in row


def test_graphs_of_weights_that_were_replaced_are_not_published(
    copy: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def verify(*arguments: object) -> Verification:
        model = random_model(seed=1, vocab_size=tokenizer.vocab_size)
        checkpoints.publish(model, tokenizer, REPO, store=copy)  # as a training does meanwhile
        return original(*arguments)  # type: ignore[arg-type]

    original = publish.verify
    monkeypatch.setattr(publish, "verify", verify)
    assert main([REPO, "--store", str(copy), "--precision", "fp32"]) == 2
    assert f"The weights of {REPO}@main have changed since the export began" in capsys.readouterr().err
    assert not (checkpoints.resolve(REPO, store=copy) / "onnx").exists()


def test_a_commit_is_refused_before_the_graphs_are_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sha = checkpoints.resolve(REPO, store=copy).name
    assert main([REPO, "--store", str(copy), "--revision", sha, "--precision", "fp32"]) == 2
    assert f"has no branch '{sha}', only main." in capsys.readouterr().err


@pytest.fixture
def odd(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A store with a model whose heads have a size that ONNX Runtime's attention cannot compute."""
    model = random_model(n_embd=60, n_head=5, vocab_size=tokenizer.vocab_size)
    checkpoints.publish(model, tokenizer, REPO, store=tmp_path)
    return tmp_path


def test_a_shape_that_the_runtime_cannot_run_is_refused(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([REPO, "--store", str(odd), "--precision", "fp32"]) == 1
    assert "heads whose size is a multiple of 8, and this model's have 12" in capsys.readouterr().err


def test_a_graph_that_opens_but_does_not_run_gives_way(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = checkpoints.resolve(REPO, store=odd)
    stored = checkpoints.open_stored(snapshot)
    monkeypatch.setattr("export.graph._HEAD_MULTIPLE", 1)
    (snapshot / "onnx").mkdir()
    graph = snapshot / "onnx" / graph_name("fp32")
    write_graph(graph, stored.config, lambda name: stored.read(name).numpy(), PRECISIONS["fp32"])
    with pytest.raises(CheckpointError, match="cannot be run on cpu"):
        OnnxRunner(graph, stored.config, n_slots=1)
    for served in serve(odd, "auto"):
        assert "torch, fp32, cpu" in served.runner_label and "cannot be run on cpu" in served.notices[0]


def test_a_file_to_compare_on_that_is_too_short_is_said(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.py").write_text("")
    options = ["--precision", "fp32", "--validation", str(tmp_path / "empty.py")]
    assert main([REPO, "--store", str(copy), *options]) == 2
    assert "has fewer than two tokens" in capsys.readouterr().err
