"""Bits per byte compared with a token-by-token sum, and with the xz program."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from train.core.precision import DTYPES
from train.data.pack import load_packed
from train.evaluate.__main__ import main
from train.evaluate.results.result import read_results
from train.evaluate.tasks.bits_per_byte import drawn, held_out_documents, measure

DOCUMENTS = [b"def f(x):\n    return x + 1\n" * 9, "é = 'ünïcode'\n".encode() * 3, b"import os\n"]


@torch.no_grad()
def test_every_token_is_scored_once_with_at_least_half_the_context(tokenizer: Tokenizer) -> None:
    model = random_model(n_positions=32)
    ids: list[int] = []
    for document in DOCUMENTS:
        ids += [tokenizer.end_of_text_id, *tokenizer.encode(document.decode())]
    nats = 0.0
    starts = [*range(0, len(ids) - 33, 16), len(ids) - 33]
    for position in range(1, len(ids)):
        start = next(start for start in starts if position <= start + 32)
        logits = model(torch.tensor([ids[start:position]]))[0, -1]
        nats -= logits.log_softmax(-1)[ids[position]].item()
    expected = nats / math.log(2) / sum(map(len, DOCUMENTS))
    assert measure(model, tokenizer, DOCUMENTS).model == pytest.approx(expected, rel=0.01)  # scored in bf16


@pytest.mark.skipif(shutil.which("xz") is None, reason="there is no xz program to compare with")
def test_xz_is_what_the_program_makes_of_the_files(tokenizer: Tokenizer) -> None:
    packed = subprocess.run(["xz", "-9", "--stdout"], input=b"".join(DOCUMENTS), capture_output=True, check=True).stdout
    score = measure(random_model(), tokenizer, DOCUMENTS)
    assert score.xz * score.n_bytes / 8 == pytest.approx(len(packed), abs=8)
    assert score.ratio == score.model / score.xz


def test_held_out_documents_are_the_validation_files(packed: Path) -> None:
    data = load_packed(packed)
    documents = held_out_documents(packed)["python"]
    assert sum(map(len, documents)) == sum(package.bytes for package in data.packages if package.split == "validation")
    some = drawn(documents, 1)
    assert len(some) == 1 and some[0] in documents and some == drawn(documents, 1)
    assert drawn(documents, 10**9) == documents


def test_the_command_prints_json(packed: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bits-per-byte", "test/tiny", "--revision", "other", "--data", str(packed), "--store", str(store)]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "test/tiny@other"
    assert result["ratio"] == pytest.approx(result["bits_per_byte"] / result["xz_bits_per_byte"], rel=1e-3)


@pytest.mark.parametrize("limit", ["0", "-1", "1e-7", "nan", "inf", "much"])
def test_a_sample_of_nothing_or_of_everything_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bits-per-byte", "test/tiny", "--folder", ".", f"--limit={limit}"])
    assert f"{limit!r} is not a number of megabytes" in capsys.readouterr().err


def test_an_unknown_model_is_a_sentence(packed: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bits-per-byte", "test/absent", "--data", str(packed), "--store", str(store)]) == 2
    assert "There is no model 'test/absent'" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_precision_that_was_used_is_recorded(
    precision: str, packed: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.evaluate.tasks.bits_per_byte.multiplied_in", lambda *_: DTYPES[precision])
    arguments = ["bits-per-byte", "test/tiny", "--store", str(store), "--data", str(packed), "--limit", "0.001"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    results = read_results(tmp_path / "out")
    assert {(one.environment["precision"], one.environment["device"]) for one in results} == {(precision, "cpu")}


def test_a_folder_is_scored_by_language(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.py", "b/c.py", "d.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("let x = 1;\n" * 20)
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    arguments = ["bits-per-byte", "test/tiny", "--store", str(store), "--folder", str(tmp_path)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    python, javascript = map(json.loads, capsys.readouterr().out.replace("}\n{", "}\0{").split("\0"))
    assert (python["language"], python["files"], python["bytes"]) == ("python", 2, 440)
    assert (javascript["language"], javascript["files"]) == ("javascript", 1)
    of_javascript, of_python = read_results(tmp_path / "out")
    assert of_python.language == "python" and of_javascript.metrics == ["bits per byte"]
    assert of_python.scores()["bits per byte"].value == pytest.approx(python["bits_per_byte"], abs=1e-4)
