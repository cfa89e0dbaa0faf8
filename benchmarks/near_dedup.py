"""Near-deduplication compared with datasketch, with the same files, permutations, bands, rows, n-grams and threshold.

    python -m benchmarks.near_dedup [FOLDER]

Both are timed in one process on one thread, from the texts to the ids to drop, and both verify candidates by exact
Jaccard similarity. The reference works like the published code (bigcode-dataset, near_deduplication): a MinHash object
per file, and an insertion into and a query of one index. Files are those of FOLDER (default: this Python's standard
library).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # set before the import, which reads it

import numpy as np
from datasketch import MinHash, MinHashLSH

from train.data import sources
from train.data.near_dedup import (
    MIN_TOKENS,
    NUM_PERM,
    are_similar,
    band_keys,
    candidate_pairs,
    choose_bands,
    components,
    shingles,
    tokens,
)
from train.data.source_file import SourceFile

_SEPARATOR = re.compile("[^A-Za-z_0-9]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="files to read (default: the standard library)")
    parser.add_argument("--files", type=int, default=2000, help="maximum number of files (default: %(default)s)")
    args = parser.parse_args()
    found = sources.folder(args.folder) if args.folder else sources.standard_library()
    files = [file for source in found for file in source.read() if isinstance(file, SourceFile)][: args.files]
    texts = [file.text for file in files if len(tokens(file.text)) >= MIN_TOKENS]
    results = [compare(texts, ngram_size, threshold) for ngram_size, threshold in ((1, 0.85), (5, 0.7))]
    print(f"{len(texts)} files, {sum(map(len, texts)) / 1e6:.1f} MB, one thread\n")
    print("| | ours, s | datasketch, s | ratio | dropped by ours | dropped by datasketch |")
    print("|---|---|---|---|---|---|")
    for row in results:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print(json.dumps(results))


def compare(texts: list[str], ngram_size: int, threshold: float) -> dict[str, str | float]:
    started = time.perf_counter()
    ours = ours_dropped(texts, ngram_size, threshold)
    between = time.perf_counter()
    theirs = datasketch_dropped(texts, ngram_size, threshold)
    finished = time.perf_counter()
    return {
        "setting": f"{ngram_size}-gram at {threshold}",
        "ours": round(between - started, 2),
        "datasketch": round(finished - between, 2),
        "ratio": round((finished - between) / (between - started), 1),
        "ours_dropped": len(ours),
        "datasketch_dropped": len(theirs),
    }


def ours_dropped(texts: list[str], ngram_size: int, threshold: float) -> set[int]:
    documents = [shingles(text, ngram_size) for text in texts]
    keys = band_keys(documents, threshold)
    pairs = np.unique(np.concatenate([candidate_pairs(band, np.arange(len(texts))) for band in keys.T]), axis=0)
    roots = components(
        map(tuple, pairs.tolist()), lambda one, other: are_similar(documents[one], documents[other], threshold)
    )
    return {id_ for id_, root in roots.items() if id_ != root}


def datasketch_dropped(texts: list[str], ngram_size: int, threshold: float) -> set[int]:
    index = MinHashLSH(threshold, NUM_PERM, params=choose_bands(threshold))
    documents = [published_tokens(text, ngram_size) for text in texts]
    pairs = []
    for number, document in enumerate(documents):
        signature = MinHash(NUM_PERM)
        signature.update_batch([token.encode() for token in document])
        pairs += [(other, number) for other in index.query(signature)]
        index.insert(number, signature, check_duplication=False)

    def similar(one: int, other: int) -> bool:
        both = len(documents[one] & documents[other])
        return both >= threshold * (len(documents[one]) + len(documents[other]) - both)

    return {id_ for id_, root in components(pairs, similar).items() if id_ != root}


def published_tokens(text: str, ngram_size: int) -> set[str]:
    """The n-grams of a text as bigcode-dataset splits it, but without the empty strings between separators."""
    words = [word for word in _SEPARATOR.split(text) if word]
    return {" ".join(run) for run in zip(*(words[start:] for start in range(ngram_size)), strict=False)}


if __name__ == "__main__":
    main()
