"""Near-deduplication compared with brute force on token strings of real files, with scipy and networkx."""

from __future__ import annotations

import re
import sysconfig
from functools import partial
from pathlib import Path

import networkx
import numpy as np
import pytest
import scipy.sparse
import transformers
from hypothesis import given
from hypothesis import strategies as st

from train.data.duplicates import drop
from train.data.local import LocalExecutor
from train.data.near_dedup import (
    NUM_PERM,
    are_similar,
    band_keys,
    candidate_pairs,
    choose_bands,
    components,
    exact_duplicates,
    shingles,
)
from train.data.source_file import SourceFile, read_shard
from train.data.sources import Source
from train.data.steps import read_source

N_FILES = 600


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Files of transformers, whose models are deliberately similar, without exact duplicates."""
    root = Path(transformers.__file__).parent / "models"
    found = {path.read_text("utf-8"): None for path in sorted(root.rglob("*.py"))}
    return [text for text in found if len(tokens(text, 1)) >= 20][:N_FILES]


def tokens(text: str, ngram_size: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[A-Za-z_0-9]+", text)
    return set(zip(*(words[offset:] for offset in range(ngram_size)), strict=False))


def brute_force(texts: list[str], ngram_size: int) -> np.ndarray:
    """The Jaccard similarity of every pair, [n, n]."""
    columns: dict[tuple[str, ...], int] = {}
    rows = [[columns.setdefault(token, len(columns)) for token in tokens(text, ngram_size)] for text in texts]
    offsets = np.cumsum([0, *map(len, rows)])
    shape = (len(texts), len(columns))
    matrix = scipy.sparse.csr_matrix((np.ones(offsets[-1], np.int32), np.concatenate(rows), offsets), shape)
    both = (matrix @ matrix.T).toarray()
    sizes = np.diff(offsets)
    return both / (sizes[:, None] + sizes[None, :] - both)


@pytest.mark.parametrize("ngram_size,threshold", [pytest.param(1, 0.85, marks=pytest.mark.slow), (5, 0.7)])
def test_recall_and_precision_against_brute_force(
    texts: list[str], ngram_size: int, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    similarity = np.triu(brute_force(texts, ngram_size), 1)
    documents = [shingles(text, ngram_size) for text in texts]
    keys = band_keys(documents, threshold)

    def similar(one: int, other: int) -> bool:
        return are_similar(documents[one], documents[other], threshold)

    def candidates() -> np.ndarray:
        return np.unique(np.concatenate([candidate_pairs(band, np.arange(len(texts))) for band in keys.T]), axis=0)

    expected = set(zip(*map(np.ndarray.tolist, np.nonzero(similarity >= threshold + 0.05)), strict=True))
    assert len(expected) > 100
    # clusters, which decide what is kept: from fifty neighbours in a bucket
    root = components(map(tuple, candidates().tolist()), similar)
    together = {pair for pair in expected if root.get(pair[0], pair[0]) == root.get(pair[1], pair[1])}
    assert len(together) >= 0.95 * len(expected)
    # single pairs: from all of them
    monkeypatch.setattr("train.data.near_dedup.MAX_NEIGHBOURS", len(texts))
    found = {(one, other) for one, other in candidates().tolist() if similar(one, other)}
    assert len(found & expected) >= 0.95 * len(expected)
    assert all(similarity[pair] >= threshold for pair in found)


@pytest.mark.parametrize("threshold", [0.7, 0.85])
def test_bands_find_a_pair_at_the_threshold(threshold: float) -> None:
    bands, rows = choose_bands(threshold)
    assert bands * rows <= NUM_PERM
    assert 1 - (1 - threshold**rows) ** bands >= 0.95
    assert 1 - (1 - threshold ** (rows + 1)) ** (NUM_PERM // (rows + 1)) < 0.95


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40), st.integers(1, 5))
def test_shingles_are_the_different_runs(words: list[str], ngram_size: int) -> None:
    expected = len(tokens(" ".join(words), ngram_size)) if len(words) >= 5 else 0
    assert len(shingles(" + ".join(words), ngram_size)) == expected


edges = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda edge: edge[0] != edge[1]))


@given(st.text("ab_1 \n\t(é漢🎉.", max_size=60), st.integers(1, 5))
def test_with_layout_runs_are_those_of_the_original(text: str, ngram_size: int) -> None:
    pieces = re.split("[^A-Za-z_0-9]", text)
    runs = {tuple(pieces[start : start + ngram_size]) for start in range(len(pieces) - ngram_size + 1)}
    assert len(shingles(text, ngram_size, layout=True)) == (len(runs) if len(pieces) >= 5 else 0)


def test_only_with_layout_does_it_count() -> None:
    one, other = "f(a, b) + c / d", "f ( a ,\n\tb )+c/d"
    assert set(shingles(one, 5)) == set(shingles(other, 5))
    assert set(shingles(one, 5, layout=True)) != set(shingles(other, 5, layout=True))


@given(edges, st.integers(0, 5))
def test_components_are_those_of_the_similar_pairs(pairs: list[tuple[int, int]], odd: int) -> None:
    def similar(one: int, other: int) -> bool:
        return (one + other) % 6 != odd

    graph = networkx.Graph([pair for pair in pairs if similar(*pair)])
    expected = {
        node: min(component)
        for component in networkx.connected_components(graph)
        for node in component
        if node != min(component)
    }
    assert components(pairs, similar) == expected


@given(st.lists(st.integers(0, 8), max_size=30))
def test_one_of_each_group_of_exact_duplicates_stays(digests: list[int]) -> None:
    ids = np.random.default_rng(0).permutation(len(digests)).astype(np.int64)
    dropped = set(exact_duplicates(np.array(digests, np.int64), ids).tolist())
    for digest in set(digests):
        group = [int(id_) for id_, other in zip(ids, digests, strict=True) if other == digest]
        assert [id_ for id_ in group if id_ not in dropped] == [min(group)]


@pytest.mark.slow
def test_a_large_bucket_stays_connected_by_few_pairs() -> None:
    ids = np.arange(10_000)
    pairs = candidate_pairs(np.zeros(10_000, np.uint64), ids)
    assert len(pairs) < 50 * 10_000
    assert networkx.is_connected(networkx.Graph(pairs.tolist()))


def test_one_file_of_each_cluster_is_kept(tmp_path: Path) -> None:
    """Modules of the standard library, their copies, and copies with two words changed."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("[d-p]*.py"))[:20]
    originals = [text for text in (path.read_text("utf-8") for path in paths) if len(tokens(text, 1)) > 100]
    changed = [text.replace("self", "this").replace("return", "yield") for text in originals]
    files = [
        SourceFile("p", "1", "MIT", f"{name}{number}.py", "python", text)
        for name, group in (("original", originals), ("copy", originals), ("changed", changed))
        for number, text in enumerate(group)
    ]
    shards = read_source(Source("all", lambda: iter(files)), tmp_path)
    duplicates = LocalExecutor().duplicates(shards, 1, 0.85)
    duplicates.save(tmp_path / "found.npz")
    outcome = drop(read_shard(shards[0]), tmp_path / "found.npz")
    numbers = sorted(int(re.sub(r"\D", "", file.path)) for file in outcome.kept)
    assert numbers == list(range(len(originals)))
    reasons = [item.reason for item in outcome.removed]
    assert reasons.count("exact duplicate") == len(originals) == reasons.count("near duplicate")
    assert drop([], tmp_path / "found.npz").kept == []


def test_shards_without_files_have_no_duplicates(tmp_path: Path) -> None:
    shards = read_source(Source("none", partial(iter, ())), tmp_path)
    found = LocalExecutor().duplicates(shards, 5, 0.7)
    assert len(found.exact) == len(found.near) == 0
