"""Source files from a Hugging Face dataset with the columns of The Stack (arXiv 2211.15533), streamed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from santacoder.errors import UserError
from train.data.source_file import Removed, SourceFile
from train.data.sources import Source, source_name
from train.data.tables import file_of_row

REQUIRED_COLUMNS = {"content", "lang"}


def dataset(reference: str) -> list[Source]:
    """The training split of a dataset, named ``OWNER/NAME`` or ``OWNER/NAME:DATA_DIR``.

    Each file of the dataset is a source of its own, so files are read in parallel and finished ones are not read again
    after a stop.

    Raises:
        UserError: the library is not installed, the dataset does not exist, or it lacks a column.
    """
    stream = _open(reference)
    columns = set(stream.column_names or next(iter(stream), {}))
    if missing := REQUIRED_COLUMNS - columns:
        raise UserError(
            f"The dataset {reference} lacks the column(s) {', '.join(sorted(missing))}; "
            f"it has {', '.join(sorted(columns)) or 'none'}."
        )
    return [
        Source(
            source_name(f"{reference}-{index:05d}", str(stream.num_shards)),
            partial(_read, reference, stream.num_shards, index),
        )
        for index in range(stream.num_shards)
    ]


def _open(reference: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError("Reading a dataset needs the datasets library: pip install datasets.") from error
    try:
        name, _, data_dir = reference.partition(":")
        return datasets.load_dataset(name, data_dir=data_dir or None, split="train", streaming=True)
    except Exception as error:  # the library raises any error of its network and file layers
        raise UserError(f"The dataset {reference} cannot be opened: {error}") from error


def _read(reference: str, num_shards: int, index: int) -> Iterator[SourceFile | Removed]:
    for number, row in enumerate(_open(reference).shard(num_shards=num_shards, index=index)):
        yield file_of_row(row, package=f"{reference}/{index}", number=number)
