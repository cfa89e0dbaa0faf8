"""Source files out of a Hugging Face dataset with the columns of The Stack (arXiv 2211.15533), streamed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from santacoder.errors import UserError
from train.data.source_file import LANGUAGES, Removed, SourceFile, decode
from train.data.sources import Source, source_name

REQUIRED_COLUMNS = {"content", "lang"}
_SUFFIXES = {language: suffix for suffix, language in reversed(LANGUAGES.items())}


def dataset(reference: str) -> list[Source]:
    """A dataset's training split: ``OWNER/NAME``, ``OWNER/NAME:DATA_DIR``, or a local Parquet file or folder of such.

    Every file of the dataset is a source of its own, so that they are read side by side and one by one after a stop.

    Raises:
        UserError: the library is not installed, there is no such dataset, or it lacks a column.
    """
    stream = _open(reference)
    columns = set(stream.column_names or next(iter(stream), {}))
    if missing := REQUIRED_COLUMNS - columns:
        raise UserError(
            f"The dataset {reference} lacks the column(s) {', '.join(sorted(missing))}; "
            f"it has {', '.join(sorted(columns)) or 'none'}."
        )
    state = f"{Path(reference).stat().st_mtime_ns}" if Path(reference).exists() else ""
    return [
        Source(
            source_name(f"{reference}-{index:05d}", str(stream.num_shards), state),
            partial(_read, reference, stream.num_shards, index),
        )
        for index in range(stream.num_shards)
    ]


def _open(reference: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError("Reading a dataset needs one more library: pip install datasets.") from error
    path = Path(reference)
    try:
        if path.exists():
            files = [str(path)] if path.is_file() else sorted(map(str, path.rglob("*.parquet")))
            return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
        name, _, data_dir = reference.partition(":")
        return datasets.load_dataset(name, data_dir=data_dir or None, split="train", streaming=True)
    except Exception as error:  # the library raises whatever its network and file layers raise
        raise UserError(f"The dataset {reference} cannot be opened: {error}") from error


def _read(reference: str, num_shards: int, index: int) -> Iterator[SourceFile | Removed]:
    for number, row in enumerate(_open(reference).shard(num_shards=num_shards, index=index)):
        language = (row["lang"] or "").lower()
        package = row.get("max_stars_repo_name") or f"{reference}/{index}/{number}"
        path = row.get("max_stars_repo_path") or f"{number}{_SUFFIXES.get(language, '')}"
        if language not in _SUFFIXES or row["content"] is None:
            yield Removed(package, path, language, 0, "another language" if row["content"] else "no content")
            continue
        yield decode(
            row["content"].encode("utf-8", "replace"),
            language=language,
            package=package,
            version=row.get("max_stars_repo_head_hexsha") or "",
            licence=" OR ".join(row.get("max_stars_repo_licenses") or ["unstated"]),
            path=path,
            stars=int(row.get("max_stars_count") or 0),
        )
