"""Training for some minutes on another machine: what is carried there, and what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from santacoder import checkpoints
from santacoder.errors import UserError
from train.data.pack import load_packed
from train.embedded import carried, parts, timed
from train.embedded.recipe import MINI

# modules that the other machine need not have
ABSENT = ("pyarrow", "pandas", "tree_sitter", "onnxruntime", "fastapi", "gradio", "transformers", "tensorboard")


@pytest.fixture(scope="module")
def file(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("carried") / "carried.zip"
    assert carried.main([str(packed), str(path), "--simple", str(packed)]) == 0
    return path


def test_what_is_carried_is_what_was_packed(file: Path, packed: Path, tmp_path: Path) -> None:
    read, data = carried.read(file, tmp_path), load_packed(packed)
    assert np.array_equal(read.data.validation, data.validation)
    assert read.data.tokenizer.vocab_size == data.tokenizer.vocab_size
    documents = data.documents()
    ends = np.append(documents.starts[1:], len(data.train))
    ours = {bytes(data.train[start:end]) for start, end in zip(documents.starts, ends, strict=True)}
    ends = np.append(read.documents.starts[1:], len(read.data.train))
    theirs = [bytes(read.data.train[start:end]) for start, end in zip(read.documents.starts, ends, strict=True)]
    assert set(theirs) == ours and len(read.data.train) == len(data.train)
    assert read.documents.languages == documents.languages
    tokens, simple = read.only_simple()
    assert np.array_equal(tokens, read.data.train) and np.array_equal(simple.starts, read.documents.starts)


def test_simple_files_alone(file: Path, tmp_path: Path) -> None:
    read = carried.read(file, tmp_path)
    read.simple[1:] = False
    read.simple[2] = True
    tokens, documents = read.only_simple()
    ends = np.append(read.documents.starts[1:], len(read.data.train))
    expected = [read.data.train[read.documents.starts[row] : ends[row]] for row in (0, 2)]
    assert np.array_equal(tokens, np.concatenate(expected)) and documents.starts.tolist() == [0, len(expected[0])]


def test_a_file_has_whole_packages_up_to_its_size(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "_COMPRESSION", zipfile.ZIP_STORED)  # whose compressor holds nothing back
    whole = load_packed(packed)
    other = 2 * len(whole.validation) + (packed / "tokenizer.json").stat().st_size
    said = carried.write(packed, None, tmp_path / "small.zip", int((other + len(whole.train)) / 0.96))
    read = carried.read(tmp_path / "small.zip", tmp_path)
    assert 0 < len(read.data.train) < len(whole.train) and not read.simple.any()
    assert said.startswith(str(tmp_path / "small.zip"))
    with pytest.raises(UserError, match="leave no room for training files"):
        carried.write(packed, None, tmp_path / "none.zip", 1000)


def test_a_model_is_trained_carried_back_and_published(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_PART_BYTES", 30_000)
    output, store = tmp_path / "output", tmp_path / "store"
    rehearsal = ["--minutes", "0.1", "--device", "cpu", "--shape", "tiny", "--workers", "0"]
    assert timed.main([str(file), str(output), *rehearsal]) == 0
    assert "nats per token" in capsys.readouterr().out
    assert len(list(output.glob("part-*.safetensors"))) > 2
    run = json.loads((output / "run.json").read_text())
    assert parts.main([str(output), "--store", str(store)]) == 0
    model, tokenizer = checkpoints.load(checkpoints.resolve(MINI, store=store))
    assert model.config.n_layer == 2 and model.config.vocab_size >= tokenizer.vocab_size
    [commit] = checkpoints.log(MINI, "main", store=store)
    assert (commit.step, commit.tokens, commit.validation_loss) == (run["step"], run["tokens"], run["validation_loss"])
    assert run["validation_loss"] < np.log(tokenizer.vocab_size) - 0.2, "it has learned something"
    next(output.glob("part-*.safetensors")).unlink()
    assert parts.main([str(output), "--store", str(store)]) == 2
    assert "does not hold a whole model" in capsys.readouterr().err


def test_it_needs_pytorch_tokenizers_and_safetensors_alone(file: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        f"for name in {ABSENT}: sys.modules[name] = None\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'tree_sitter' else find(name)\n"
        "from train.embedded.timed import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    rehearsal = ["--minutes", "0.02", "--device", "cpu", "--shape", "tiny", "--workers", "0"]
    command = [sys.executable, "-c", program, str(file), str(tmp_path / "output"), *rehearsal]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output" / "part-0.safetensors").is_file()


def test_other_files_are_refused(tmp_path: Path, file: Path) -> None:
    (tmp_path / "other").write_text("text")
    with pytest.raises(UserError, match="was not written by"):
        carried.read(tmp_path / "other", tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        carried.read(tmp_path / "damaged", tmp_path)
    assert carried.main([str(tmp_path), str(tmp_path / "file")]) == 2
    assert timed.main([str(tmp_path / "other"), str(tmp_path), "--device", "cpu"]) == 2


@pytest.mark.parametrize("content", ["[]", '{"model": []}', '{"model": {"n_lay": 1}}'])
def test_a_folder_whose_description_is_damaged_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match="does not hold a whole model"):
        parts.publish(tmp_path, tmp_path / "store")


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_a_time_that_never_ends_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        timed.main(["carried.zip", "output", "--minutes", minutes])
    assert f"--minutes must be above 0, not {minutes}" in capsys.readouterr().err
