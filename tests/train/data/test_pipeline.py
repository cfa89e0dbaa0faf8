"""The pipeline as a whole: what it keeps, that it can be continued, and its report."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from santacoder.experiments import EXPERIMENTS
from tests.conftest import REPOSITORY
from train.config import TrainConfig
from train.data import decontaminate, sources, steps
from train.data.__main__ import main
from train.data.local import LocalExecutor
from train.data.pack import load_packed
from train.data.pipeline import Pipeline
from train.data.report import remaining_files, write_report
from train.data.source_file import SourceFile, read_shard
from train.variants import training_settings, variant

CODE = "# what {name} does\ndef {name}(one, other):\n    return one + other * {number}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six packages with one file each: one has an address, one is under copyleft, one has no comments."""
    root = tmp_path / "code"
    for number, name in enumerate(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]):
        words = "\n".join(f"{name}{word}" for word in range(40))
        text = CODE.format(name=name, number=number) + f"words = '''{words}'''\n"
        text = {"beta": text + "# by ada@engines.org\n", "gamma": "# SPDX-License-Identifier: GPL-3.0\n" + text}.get(
            name, text
        )
        (root / name).mkdir(parents=True)
        (root / name / "code.py").write_text(text.removeprefix("# what delta does\n"))
    return root


def kept(pipeline: Pipeline, name: str) -> dict[str, SourceFile]:
    shards = pipeline.run(EXPERIMENTS[name])[-1].shards
    return {file.path.split("/")[0]: file for shard in shards for file in read_shard(shard)}


def test_each_variant_applies_its_filters(folder: Path, tmp_path: Path) -> None:
    def of(name: str) -> set[str]:
        return set(kept(Pipeline(sources.folder(folder), tmp_path / "work", LocalExecutor()), name))

    base = {"alpha", "beta", "delta", "epsilon", "zeta"}
    assert of("fim") == of("mha") == of("no-fim") == of("dedup-alt") == base
    assert of("comments") == of("final") == base - {"delta"}
    assert of("stars") == set()


def test_addresses_are_replaced_and_opted_out_packages_left_out(folder: Path, tmp_path: Path) -> None:
    pipeline = Pipeline(sources.folder(folder), tmp_path / "work", LocalExecutor(), {"code/zeta"})
    files = kept(pipeline, "fim")
    assert files.keys() == {"alpha", "beta", "delta", "epsilon"}
    assert "ada@engines.org" not in files["beta"].text and "@example.com" in files["beta"].text
    assert pipeline.steps[1].tally.redacted == {"e-mail": 1}
    assert pipeline.steps[1].tally.removed.keys() == {"opted out", "copyleft header"}


def test_a_second_run_does_only_what_is_left(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    full = steps.write_shard

    def disk_full(path: Path, files: list[SourceFile]) -> None:
        if "near-dedup" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        full(path, files)

    monkeypatch.setattr(steps, "write_shard", disk_full)
    with pytest.raises(OSError, match="No space left"):
        kept(Pipeline(sources.folder(folder), work, LocalExecutor()), "fim")
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*.parquet")}
    assert before and not list(work.rglob("*.incomplete"))
    monkeypatch.setattr(steps, "write_shard", full)
    assert len(kept(Pipeline(sources.folder(folder), work, LocalExecutor()), "fim")) == 5
    after = {path: path.stat().st_mtime_ns for path in work.rglob("*.parquet")}
    assert before.items() < after.items()
    kept(Pipeline(sources.folder(folder), work, LocalExecutor()), "fim")
    assert after == {path: path.stat().st_mtime_ns for path in work.rglob("*.parquet")}


def test_a_changed_folder_is_read_again(folder: Path, tmp_path: Path) -> None:
    kept(Pipeline(sources.folder(folder), tmp_path / "work", LocalExecutor()), "fim")
    (folder / "alpha" / "more.py").write_text("# more\nfirst, second, third, fourth = range(4)\n")
    pipeline = Pipeline(sources.folder(folder), tmp_path / "work", LocalExecutor())
    assert sum(len(read_shard(shard)) for shard in pipeline.run(EXPERIMENTS["fim"])[-1].shards) == 6


def test_other_benchmarks_are_looked_for_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("beta", "gamma", "delta", "epsilon", "zeta"):
        shutil.rmtree(folder / name)
    (folder / "alpha" / "more.py").write_text("# more\nfirst, second, third, fourth = range(4)\n")

    def files() -> int:
        pipeline = Pipeline(sources.folder(folder), tmp_path / "work", LocalExecutor())
        return sum(len(read_shard(shard)) for shard in pipeline.run(EXPERIMENTS["fim"])[-1].shards)

    assert files() == 2
    found = decontaminate.fingerprints([(folder / "alpha" / "code.py").read_text()])
    for name, hashes in (("RUNS", found.runs), ("WHOLE_TEXTS", found.whole)):
        np.save(tmp_path / f"{name}.npy", hashes)
        monkeypatch.setattr(decontaminate, name, tmp_path / f"{name}.npy")
    decontaminate._fingerprints.cache_clear()
    try:
        assert files() == 1
    finally:
        decontaminate._fingerprints.cache_clear()


def test_the_command_packs_and_reports(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (tmp_path / "out.txt").write_text("# asked by mail\nCode/Zeta\n")
    arguments = ["--folder", str(folder), "--variant", "comments", "--vocab-size", "300", "--out", str(out)]
    assert main([*arguments, "--opt-out", str(tmp_path / "out.txt")]) == 0
    assert "report.html" in capsys.readouterr().out
    assert len(load_packed(out).packages) == 3
    report = json.loads((out / "report.json").read_text())
    assert [step["name"] for step in report["steps"]] == ["read", "clean", "near-dedup", "comments"]
    assert [step["files"] for step in report["steps"]] == [6, 4, 4, 3]
    assert report["steps"][-1]["removed"]["less than 1% comments"][0] == 1
    assert report["steps"][-1]["samples"]["less than 1% comments"] == ["code/delta: delta/code.py"]
    assert remaining_files(report).startswith("3 of 6 files remain. Left out: ")
    page = (out / "report.html").read_text()
    assert "less than 1% comments" in page and "code/delta: delta/code.py" in page and "<svg" in page
    # the same tokenizer for another variant, which shares the steps
    again = [*arguments[:3], "fim", *arguments[4:6], "--out", str(tmp_path / "other"), "--work", str(out / "work")]
    assert main([*again, "--tokenizer", str(out / "tokenizer.json")]) == 0
    assert (tmp_path / "other" / "tokenizer.json").read_bytes() == (out / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        (["--folder", "absent"], "absent is not a folder"),
        (["--download", "absent.yaml"], "absent.yaml is not a readable manifest"),
        (["--dataset", "absent.parquet"], "absent.parquet cannot be opened"),
        (["--folder", str(REPOSITORY / "docs"), "--opt-out", "absent"], "opt-out list absent cannot be read"),
        (["--folder", str(REPOSITORY / "docs"), "--tokenizer", "absent"], "absent is missing"),
        (["--folder", str(REPOSITORY / "docs")], "Found 0 usable source file"),
        (["--folder", str(REPOSITORY / "santacoder"), "--variant", "stars"], "Found 0 usable source file"),
    ],
)
def test_bad_input_is_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--out", str(tmp_path)])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and sentence in error and "Traceback" not in error


def test_variants_set_the_trainer() -> None:
    settings = {name: training_settings(name) for name in EXPERIMENTS}
    assert {name for name, values in settings.items() if not values["multi_query"]} == {"mha"}
    assert {name for name, values in settings.items() if values["fim_rate"] == 0} == {"no-fim"}
    assert TrainConfig(**settings["final"]).fim_rate == 0.5
    assert variant("main") is EXPERIMENTS["final"]
    with pytest.raises(ValueError, match="no variant best; the variants are mha, no-fim"):
        variant("best")


def test_a_sample_is_a_share_of_the_files_and_always_the_same(tmp_path: Path) -> None:
    for number in range(400):
        (tmp_path / "code" / str(number % 7)).mkdir(parents=True, exist_ok=True)
        words = "\n".join(f"word{number}x{word}" for word in range(30))
        (tmp_path / "code" / str(number % 7) / f"f{number}.py").write_text(f"# {number}\nwords = '''{words}'''\n")

    def drawn(share: float, work: str) -> set[str]:
        pipeline = Pipeline(sources.folder(tmp_path / "code"), tmp_path / work, LocalExecutor(), sample=share)
        steps = pipeline.run(EXPERIMENTS["fim"])
        said = remaining_files(write_report(tmp_path, "fim", steps, []))
        files = {file.path for shard in steps[-1].shards for file in read_shard(shard)}
        others = f"{len(files)} of 400 files remain. Left out: not in the sample ({400 - len(files)})."
        assert said == (others if share < 1 else "All 400 files remain.")
        return files

    tenth, half, everything = drawn(0.1, "work"), drawn(0.5, "work"), drawn(1.0, "work")
    assert tenth < half < everything and len(everything) == 400
    assert 15 < len(tenth) < 80 and 140 < len(half) < 260
    assert drawn(0.1, "other") == tenth
