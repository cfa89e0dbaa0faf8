"""Source files from the rows of a table: the user's own Parquet or JSON lines, or a dataset like The Stack."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from santacoder.errors import UserError
from train.data.source_file import LANGUAGES, Removed, SourceFile, decode, language_of
from train.data.sources import Source, source_name

ENDINGS = (".parquet", ".jsonl", ".jsonl.gz", ".json")
_SUFFIXES = {language: suffix for suffix, language in reversed(LANGUAGES.items())}


def table_files(path: Path, language: str | None = None) -> list[Source]:
    """The table in ``path``, or the tables in a folder, one source each. ``language`` applies to rows that state none.

    Raises:
        UserError: a table cannot be read, or has no column ``content``.
    """
    files = sorted(each for each in path.rglob("*") if each.name.endswith(ENDINGS)) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} contains no table of files; supported formats are {', '.join(ENDINGS)}.")
    return [_source(file, language) for file in files]


def file_of_row(
    row: Mapping[str, Any], *, package: str, number: int, language: str | None = None, licence: str = "unstated"
) -> SourceFile | Removed:
    """The file in a row, or the reason why it cannot be used.

    ``package``, ``language`` and ``licence`` are the defaults for rows that do not state them. A row states its
    language in ``lang`` or by the extension of its name.
    """
    name = _text(row, "max_stars_repo_path", "path", "file_name")
    stated = _text(row, "lang", "language").lower()
    known = (
        language_of(f"x.{stated}")
        or stated
        or language_of(name)
        or language_of(f"x.{_text(row, 'ext')}")
        or language
        or ""
    )
    package = _text(row, "max_stars_repo_name", "repo_name") or f"{package}/{number}"
    path = name or f"{number}{_SUFFIXES.get(known, '')}"
    content = row.get("content")
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    if not isinstance(content, bytes) or known not in _SUFFIXES:
        unknown = (
            "another language" if known else "unknown language: use a column lang, a known extension or --language"
        )
        return Removed(package, path, known, 0, unknown if isinstance(content, bytes) else "no content")
    licences = next((row[column] for column in ("max_stars_repo_licenses", "license") if column in row), licence)
    stars = row.get("max_stars_count")
    return decode(
        content,
        language=known,
        package=package,
        version=_text(row, "max_stars_repo_head_hexsha"),
        licence=" OR ".join(map(str, licences if isinstance(licences, list) else [licences]))
        if licences
        else "unstated",
        path=path,
        stars=stars if isinstance(stars, int) else 0,
    )


def _source(path: Path, language: str | None) -> Source:
    try:
        first = pq.read_schema(path).names if path.suffix == ".parquet" else next(_rows(path), {})
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be opened: {error}") from error
    if not isinstance(first, Removed) and "content" not in first:
        raise UserError(f"{path} lacks the column(s) content; it has {', '.join(sorted(first)) or 'none'}.")
    state = f"{path.stat().st_size} {path.stat().st_mtime_ns} {language}"
    return Source(source_name(path.name, str(path.resolve()), state), partial(_read, path, language))


def _read(path: Path, language: str | None) -> Iterator[SourceFile | Removed]:
    """Read the rows of a user's table. Like a folder of the user, it is trusted unless it has a column of licences."""
    try:
        for number, row in enumerate(_rows(path)):
            if isinstance(row, Removed):
                yield row
            else:
                yield file_of_row(row, package=path.name, number=number, language=language, licence="user")
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        yield Removed(path.name, path.name, "", 0, f"broken file ({error})")


def _rows(path: Path) -> Iterator[dict[str, Any] | Removed]:
    if path.suffix == ".parquet":
        for batch in pq.ParquetFile(path).iter_batches(batch_size=256):
            yield from batch.to_pylist()
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError):
                row = None
            yield (
                row
                if isinstance(row, dict)
                else Removed(path.name, f"line {number}", "", len(line), "line is not a JSON object")
            )


def _text(row: Mapping[str, Any], *columns: str) -> str:
    """The first non-empty text among ``columns``."""
    return next((row[name] for name in columns if isinstance(row.get(name), str) and row[name]), "")
