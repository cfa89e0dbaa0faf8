"""Packing: the split by package, and that the tokens represent the files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.errors import UserError
from santacoder.fim import split_documents
from santacoder.tokenizer import Tokenizer
from train.data.filters import sift
from train.data.pack import Package, choose_files, choose_validation, load_packed, pack, train_tokenizer
from train.data.pipeline import not_drawn
from train.data.source_file import SourceFile
from train.data.sources import Source
from train.data.steps import read_source


def shards_of(files: list[SourceFile], folder: Path) -> list[Path]:
    return read_source(Source("all", lambda: iter(files)), folder)


def of_language(language: str, sizes: dict[str, int]) -> list[Package]:
    return [Package(name, "1.0", "MIT", 1, size, language=language) for name, size in sizes.items()]


sizes = st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 10**6), min_size=2, max_size=60)


@given(sizes=sizes)
def test_something_is_held_out_and_something_is_left(sizes: dict[str, int]) -> None:
    packages = of_language("python", sizes)
    held_out = choose_validation(packages)
    assert held_out and held_out < sizes.keys()
    assert choose_validation(packages[::-1]) == held_out


def test_no_single_package_dominates_a_large_corpus() -> None:
    sizes = {f"package{number}": 1_000_000 + number for number in range(1000)} | {"giant": 10**9}
    held_out = choose_validation(of_language("python", sizes))
    assert "giant" not in held_out
    assert 0.014 < sum(sizes[name] for name in held_out) / sum(sizes.values()) < 0.02


def test_files_are_held_out_by_name_up_to_a_tenth() -> None:
    files = of_language("python", {f"p: {number}.py": 1000 for number in range(50)})
    held_out = choose_files(files)
    assert len(held_out) == 5
    # an edit, or a further file, moves few files to the other side
    assert (
        len(choose_files(of_language("python", {file.name: 1100 for file in files} | {"p: new.py": 900})) - held_out)
        < 3
    )
    # files too large are learned from, and something is held out in any case
    assert "p: 0.py" not in choose_files([*files[1:], *of_language("python", {"p: 0.py": 400_000})])
    assert choose_files(of_language("python", {"a": 10, "b": 9})) == {"b"}


@given(sizes=sizes)
def test_files_held_out_are_a_tenth_at_most_unless_each_is_larger(sizes: dict[str, int]) -> None:
    held_out = choose_files(of_language("python", sizes))
    most = min(sum(sizes.values()) / 10, 100_000)
    assert sum(sizes[name] for name in held_out) <= max(most, min(sizes.values()))
    if any(size <= most for size in sizes.values()):
        left = min((size for name, size in sizes.items() if name not in held_out), default=0)
        assert sum(sizes[name] for name in held_out) + left > most, "another file would have fitted"


def test_every_language_has_something_held_out_where_it_has_two_packages() -> None:
    few, many = {"a": 20_000_000, "b": 10_000_000}, {f"package{number}": 10_000 for number in range(1000)}
    packages = [*of_language("java", few), *of_language("python", many), *of_language("javascript", {"alone": 5})]
    held_out = choose_validation(packages)
    assert "b" in held_out and "a" not in held_out and "alone" not in held_out
    assert any(name.startswith("package") for name in held_out)


def test_two_languages_of_one_package_each_still_give_one_to_hold_out() -> None:
    packages = [*of_language("java", {"a": 3}), *of_language("python", {"b": 2})]
    assert choose_validation(packages) == {"b"}


def test_packed_tokens_are_the_files_of_their_side(tmp_path: Path) -> None:
    files = [
        SourceFile(f"package{number % 7}", "1.0", "MIT", f"{number}.py", "python", f"def f{number}():\n    '''é'''\n")
        for number in range(50)
    ]
    pack(shards_of(files, tmp_path / "work"), tmp_path, vocab_size=300)
    data = load_packed(tmp_path)
    side = {package.name: package.split for package in data.packages}
    assert sum(package.files for package in data.packages) == 50
    for split, tokens in (("train", data.train), ("validation", data.validation)):
        texts = [data.tokenizer.decode(ids.tolist()) for ids in split_documents(tokens, data.tokenizer.end_of_text_id)]
        assert texts == [file.text for file in files if side[file.package] == split] + [""]
    for document in pq.read_table(tmp_path / "documents.parquet").to_pylist():
        tokens = data.train if document["split"] == "train" else data.validation
        ids = tokens[document["start"] : document["start"] + document["length"]].tolist()
        (file,) = [file for file in files if file.path == document["path"]]
        assert data.tokenizer.decode(ids[:-1]) == file.text and ids[-1] == data.tokenizer.end_of_text_id
        assert (document["package"], document["licence"]) == (file.package, "MIT")
        assert document["split"] == side[file.package]


def test_a_large_vocabulary_gets_wider_integers(tmp_path: Path) -> None:
    words = [f"word{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10 % 10]}{chr(0x4E00 + i)}" for i in range(3000)]
    files = [SourceFile(f"p{n}", "", "MIT", "a.py", "python", " ".join(words) + f" {n}") for n in range(2)]
    pack(shards_of(files, tmp_path / "work"), tmp_path, vocab_size=400)
    assert load_packed(tmp_path).train.dtype == "<u2"


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_files_are_said(tmp_path: Path, count: int) -> None:
    files = [SourceFile("p", "", "MIT", "a.py", "python", "x = 1\n")] * count
    with pytest.raises(ValueError, match=f"Found {count} usable source file"):
        pack(shards_of(files, tmp_path / "work"), tmp_path, vocab_size=300)


def test_the_tokenizer_learns_as_much_of_each_language_and_nothing_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is recorded where the tokenizer is trained; a tenth of the Python files equals all Java files."""
    monkeypatch.setattr("train.data.pack.TOKENIZER_SAMPLE_BYTES", 80_000)
    seen: list[str] = []

    def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
        seen.extend(texts)
        return original(seen, vocab_size)

    original = Tokenizer.train
    monkeypatch.setattr(Tokenizer, "train", train)
    files = [
        SourceFile(f"p{n % 3}", "1", "MIT", f"{n}{suffix}", language, f"{language} {n:06d} ".ljust(100, "x"))
        for language, suffix, count in (("python", ".py", 4000), ("java", ".java", 400))
        for n in range(count)
    ]
    train_tokenizer(shards_of(files, tmp_path), 300, held_out={"p0"})
    python = sum(text.startswith("python") for text in seen)
    java = len(seen) - python
    assert 0.7 < python / java < 1.4
    assert not set(seen) & {file.text for file in files if file.package == "p0"}
    # the same of a sample of the files, which the pipeline has drawn by their ids
    monkeypatch.setattr("train.data.pack.TOKENIZER_SAMPLE_BYTES", 40_000)
    seen.clear()
    drawn, _ = sift(files, [partial(not_drawn, share=0.5)])
    train_tokenizer(shards_of(drawn, tmp_path / "drawn"), 300)
    python = sum(text.startswith("python") for text in seen)
    assert 0.7 < python / (len(seen) - python) < 1.4


def test_named_packages_are_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [SourceFile(name, "1", "MIT", "a.py", "python", f"{name} = 1\n" * 9) for name in ("one", "two", "three")]
    pack(shards_of(files, tmp_path / "work"), tmp_path / "out", vocab_size=300, held_out=["two", "absent"])
    splits = {package.name: package.split for package in load_packed(tmp_path / "out").packages}
    assert splits == {"one": "train", "two": "validation", "three": "train"}
    assert "Not among the packages, so not held out: absent." in capsys.readouterr().err


@pytest.mark.parametrize("held_out", [["Two"], ["one", "two", "three"]])
def test_names_that_hold_out_nothing_or_everything_are_refused(held_out: list[str], tmp_path: Path) -> None:
    files = [SourceFile(name, "1", "MIT", "a.py", "python", f"{name} = 1\n" * 9) for name in ("one", "two", "three")]
    with pytest.raises(UserError, match=f"Of the 3 packages .* names {len(set(held_out) - {'Two'})} of them"):
        pack(shards_of(files, tmp_path / "work"), tmp_path / "out", vocab_size=300, held_out=held_out)
