"""Training for some minutes on another machine: what is carried there, and what comes back."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError

from santacoder import checkpoints
from santacoder.errors import UserError
from train.core.step import NotFinite
from train.data.pack import load_packed
from train.embedded import carried, parts, timed
from train.embedded.recipe import MINI

# modules that the other machine need not have
ABSENT = ("pyarrow", "pandas", "tree_sitter", "onnxruntime", "fastapi", "gradio", "transformers", "tensorboard")

REHEARSAL = ["--minutes", "0.02", "--device", "cpu", "--shape", "tiny", "--workers", "0"]


@pytest.fixture(scope="module")
def file(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("carried") / "carried.zip"
    assert carried.main([str(packed), str(path), "--simple", str(packed)]) == 0
    return path


def test_what_is_carried_is_what_was_packed(file: Path, packed: Path) -> None:
    read, data = carried.read(file), load_packed(packed)
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


def test_simple_files_alone(file: Path) -> None:
    read = carried.read(file)
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
    read = carried.read(tmp_path / "small.zip")
    assert 0 < len(read.data.train) < len(whole.train) and not read.simple.any()
    assert said.startswith(str(tmp_path / "small.zip"))
    written = (tmp_path / "small.zip").read_bytes()
    with pytest.raises(UserError, match="leave no room for training files"):
        carried.write(packed, None, tmp_path / "small.zip", 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["small.zip"]
    assert (tmp_path / "small.zip").read_bytes() == written, "what was there is kept"


def test_a_model_is_trained_carried_back_and_published(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_PART_BYTES", 30_000)
    output, store = tmp_path / "output", tmp_path / "store"
    assert timed.main([str(file), str(output), *REHEARSAL, "--minutes", "0.1"]) == 0
    assert "nats per token" in capsys.readouterr().out
    assert len(list(output.glob("part-*.safetensors"))) > 2
    run = json.loads((output / "run.json").read_text())
    assert parts.main([str(output), "--store", str(store)]) == 0
    model, tokenizer = checkpoints.load(checkpoints.resolve(MINI, store=store))
    assert model.config.n_layer == 2 and model.config.vocab_size >= tokenizer.vocab_size
    [commit] = checkpoints.log(MINI, "main", store=store)
    assert (commit.step, commit.tokens, commit.validation_loss) == (run["step"], run["tokens"], run["validation_loss"])
    assert run["validation_loss"] < np.log(tokenizer.vocab_size) - 0.2, "it has learned something"
    assert parts.main([str(output), "--store", str(store)]) == 0
    assert len(checkpoints.log(MINI, "main", store=store)) == 1, "it has the weights already"
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
    command = [sys.executable, "-c", program, str(file), str(tmp_path / "output"), *REHEARSAL]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output" / "part-0.safetensors").is_file()


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, how: Callable[[], object]) -> None:
    """Let ``how`` happen in a step of :mod:`timed`, by its number."""
    numbers, step = count(1), timed.training_step

    def training_step(*arguments: Any) -> tuple[float, float]:
        if next(numbers) == at:
            how()
        return step(*arguments)

    monkeypatch.setattr(timed, "training_step", training_step)


def raising(error: BaseException) -> Callable[[], object]:
    def how() -> None:
        raise error

    return how


@pytest.mark.parametrize(
    ("how", "sentence", "n_steps"),
    [
        (raising(NotFinite("The loss is not a number")), "The loss is not a number after 7 steps", 7),
        (lambda: signal.raise_signal(signal.SIGTERM), "Stopped after 8 steps", 8),
        (lambda: signal.raise_signal(signal.SIGINT), "Stopped after 8 steps", 8),
    ],
)
def test_a_training_that_ends_early_leaves_its_weights(
    how: Callable[[], object], sentence: str, n_steps: int, file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    interrupted(monkeypatch, 8, how)
    assert timed.main([str(file), str(tmp_path / "output"), *REHEARSAL, "--minutes", "9"]) == 1
    assert f"{sentence}; {tmp_path / 'output'} has the weights so far. {n_steps} steps, " in capsys.readouterr().err
    assert parts.main([str(tmp_path / "output"), "--store", str(tmp_path / "store")]) == 0
    [commit] = checkpoints.log(MINI, "main", store=tmp_path / "store")
    assert commit.step == n_steps and commit.validation_loss is not None


def test_weights_are_written_before_they_are_validated(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "validation_loss", lambda *_: raising(RuntimeError("out of memory"))())
    with pytest.raises(RuntimeError, match="out of memory"):
        timed.main([str(file), str(tmp_path / "output"), *REHEARSAL])
    assert parts.main([str(tmp_path / "output"), "--store", str(tmp_path / "store")]) == 0
    assert checkpoints.log(MINI, "main", store=tmp_path / "store")[0].validation_loss is None


def test_an_earlier_result_is_kept_until_it_is_replaced_as_a_whole(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, store = tmp_path / "output", ["--store", str(tmp_path / "store")]
    assert timed.main([str(file), str(output), *REHEARSAL]) == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    interrupted(monkeypatch, 1, raising(RuntimeError("killed")))
    with pytest.raises(RuntimeError, match="killed"):
        timed.main([str(file), str(output), *REHEARSAL])
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    for other in ("tokenizer.json", "part-0.safetensors"):
        (output / other).write_bytes(before[other] + b" ")
        assert parts.main([str(output), *store]) == 2
        assert "its files are not those that run.json describes" in capsys.readouterr().err
        (output / other).write_bytes(before[other])
    monkeypatch.setattr(parts, "save_file", lambda *_: raising(SafetensorError("No space left on device"))())
    assert timed.main([str(file), str(output), *REHEARSAL]) == 2
    assert capsys.readouterr().err.endswith("No space left on device\n")
    assert parts.main([str(output), *store]) == 2 and not (tmp_path / "store").exists()


def test_a_place_that_cannot_be_written_is_refused_before_the_training(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, 1, raising(AssertionError("training has begun")))
    (tmp_path / "taken").touch()
    assert timed.main([str(file), str(tmp_path / "taken"), *REHEARSAL]) == 2
    assert f"File exists: '{tmp_path / 'taken'}'" in capsys.readouterr().err
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1e4))
    assert timed.main([str(file), str(tmp_path / "output"), *REHEARSAL]) == 2
    assert f"{tmp_path / 'output'} has room for 0 MB, but the weights take" in capsys.readouterr().err


def test_other_files_are_refused(tmp_path: Path, file: Path) -> None:
    (tmp_path / "other").write_text("text")
    with pytest.raises(UserError, match="was not written by"):
        carried.read(tmp_path / "other")
    assert carried.main([str(tmp_path), str(tmp_path / "file")]) == 2
    assert timed.main([str(tmp_path / "other"), str(tmp_path), "--device", "cpu"]) == 2


def test_a_damaged_file_is_refused(tmp_path: Path, file: Path) -> None:
    content, damaged, draw = file.read_bytes(), tmp_path / "damaged", random.Random(0)
    causes = set()
    directory = content.index(b"PK\x01\x02")
    places = [*draw.sample(range(len(content)), 20), *draw.sample(range(directory, len(content)), 100)]
    for place in places:
        damaged.write_bytes(content[:place] + bytes([content[place] ^ draw.randrange(1, 256)]) + content[place + 1 :])
        try:
            carried.read(damaged)  # such as a date that nothing reads
        except UserError as error:
            assert str(error).startswith(f"{damaged} was not written by") and "or is damaged: " in str(error)
            causes.add(type(error.__cause__))
    assert NotImplementedError in causes and zipfile.BadZipFile in causes


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"manifest.json": lambda _: b"[]"}, "list indices must be integers"),
        ({"manifest.json": lambda old: old.replace(b"<u2", b"banana")}, "its tokens are of the type banana"),
        ({"manifest.json": lambda old: old.replace(b"python", b"pascal")}, "its languages are ('pascal',)"),
        ({"manifest.json": lambda old: old.replace(b'["python"]', b"[]")}, "it names 0 languages"),
        ({"manifest.json": lambda old: old.replace(b"languages", b"tongues")}, "'languages'"),
        ({"tokenizer.json": lambda _: b"{}"}, "is not a readable tokenizer.json"),
        ({"tokenizer.json": lambda _: b"\xff\0"}, "tokenizer.json"),
        ({"train": lambda old: old[:-2]}, "its documents are not its tokens"),
        ({"train": lambda old: old[:-1]}, "buffer size must be a multiple of element size"),
        ({"train": lambda old: b"\xff\xff" + old[2:]}, "it has the token 65535"),
        ({"lengths": lambda old: old[:-4]}, "its documents are not its tokens"),
        ({"lengths": lambda _: b"", "train": lambda _: b""}, "its documents are not its tokens"),
        ({"codes": lambda old: old[:-1]}, "it does not describe each document"),
        ({"simple": lambda old: old[:-1]}, "it does not describe each document"),
        ({"validation": lambda old: old[:2]}, "it has no held-out tokens"),
        ({"validation": lambda old: old[:-2] + b"\xff\xff"}, "it has the token 65535"),
    ],
)  # fmt: skip
def test_wrong_contents_are_refused_before_the_training(
    changed: dict[str, Callable[[bytes], bytes]], problem: str, file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(tmp_path / "wrong.zip", "w") as wrong:
        for name in whole.namelist():
            wrong.writestr(name, changed.get(name, bytes)(whole.read(name)))
    assert timed.main([str(tmp_path / "wrong.zip"), str(tmp_path / "output"), *REHEARSAL]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path / 'wrong.zip'} was not written by") and problem in told
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("megabytes", ["0", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_refused(megabytes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        carried.main(["packed", "carried.zip", f"--megabytes={megabytes}"])
    assert f"--megabytes must be a number above 0, not {megabytes}" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", '{"model": []}', '{"model": {"n_lay": 1}}'])
def test_a_folder_whose_description_is_damaged_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match="does not hold a whole model"):
        parts.publish(tmp_path, tmp_path / "store")


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_a_time_that_never_ends_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        timed.main(["carried.zip", "output", "--minutes", minutes])
    assert f"--minutes must be a number above 0, not {minutes}" in capsys.readouterr().err
