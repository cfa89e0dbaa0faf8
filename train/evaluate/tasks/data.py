"""The benchmarks' files, from a folder or the Hub."""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOLDER_VARIABLE = "SANTACODER_EVAL_DATA"
_SECONDS_TO_ANSWER = 10


class DataUnavailable(Exception):
    """A benchmark's tasks cannot be read; the message says which, why and what to do."""


def default_folder() -> Path | None:
    """The folder of ``SANTACODER_EVAL_DATA``, if it is set."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else None


def rows(file: str, hub: tuple[str, str | None], fields: Mapping[str, type], folder: Path | None) -> list[Row]:
    """Read the tasks of ``file`` in ``folder``, or of the test split on the Hub if there is no such file.

    ``hub`` is the data set's repository and configuration. Every task must have ``fields`` with the given types.

    Raises:
        DataUnavailable: neither source can be read, or the tasks have another schema.
    """
    path = folder / file if folder is not None else None
    if path is not None and path.is_file():
        found, place = _read(path), str(path)
    else:
        found, place = _from_hub(*hub, missing=path), "/".join(filter(None, hub))
    _check(found, fields, place)
    return found


def _read(path: Path) -> list[Row]:
    try:
        if path.suffix == ".parquet":
            return _parquet(path)
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        if ".jsonl" in path.name:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        found = json.loads(text)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataUnavailable(f"{path} cannot be read: {error}.") from error
    return found if isinstance(found, list) else [found]


def _parquet(path: Path) -> list[Row]:
    try:
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise DataUnavailable(f"To read {path}, install pyarrow: pip install pyarrow.") from error
    return read_table(path).to_pylist()


def _from_hub(repository: str, configuration: str | None, missing: Path | None) -> list[Row]:
    absence = f"{missing} does not exist, and " if missing is not None else ""
    remedy = (
        f"Name a folder with the benchmarks' files with --data FOLDER or the environment variable {FOLDER_VARIABLE}."
    )
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataUnavailable(
            f"{absence}downloading {repository} needs datasets, which is not installed: pip install datasets. {remedy}"
        ) from error
    print(f"Downloading {repository} from the Hub, unless it is in the cache …", file=sys.stderr, flush=True)
    try:
        with _offline_without_an_answer(repository):
            return [dict(row) for row in load_dataset(repository, configuration, split="test")]
    except Exception as error:  # the client's HTTP library may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataUnavailable(
            f"{absence}{repository} could not be downloaded from the Hub ({reason}). {remedy}"
        ) from error


@contextmanager
def _offline_without_an_answer(repository: str) -> Iterator[None]:
    """Offline if the Hub does not answer a first question: the cache is read, and missing files are an error at once.
    Otherwise each of them would be asked for six times, which takes half a minute."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    was_offline = constants.HF_HUB_OFFLINE
    silence: Exception | None = None
    try:
        HfApi().dataset_info(repository, timeout=_SECONDS_TO_ANSWER)
    except (HfHubHTTPError, OfflineModeIsEnabled):  # an answer, or not asked
        pass
    except Exception as error:  # the client's HTTP library may raise anything
        silence = error
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    except Exception as error:
        raise silence or error from error
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def _check(found: Iterable[Any], fields: Mapping[str, type], place: str) -> None:
    number = 0
    for number, row in enumerate(found, 1):
        for field, kind in fields.items():
            value = row.get(field) if isinstance(row, dict) else None
            if not isinstance(value, kind):
                raise DataUnavailable(
                    f"Task {number} of {place} does not belong to this benchmark: {field!r} is "
                    f"{'missing' if value is None else f'a {type(value).__name__}, not a {kind.__name__}'}."
                )
    if number == 0:
        raise DataUnavailable(f"{place} has no tasks.")
