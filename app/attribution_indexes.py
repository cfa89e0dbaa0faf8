"""Attribution of generated code: the index of a model, and lookups in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from app.settings import Settings
from santacoder.attribution import Searched, Shards, Source, Span
from santacoder.errors import AttributionError, UserError


class Index(Protocol):
    """The interface of an index: ``Shards``, local or on a Ray cluster."""

    searched: Searched

    def find(self, text: str, language: str | None = None) -> list[Span]: ...

    def original(self, source: Source) -> str | None: ...


@dataclass(frozen=True)
class Attribution:
    """The sources found for a text, and what was searched: plain data to show, keep and share."""

    spans: tuple[Span, ...]
    searched: Searched

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Attribution:
        """Parse a stored attribution.

        Raises:
            UserError: the JSON is not an attribution.
        """
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            raise UserError(
                f"This is not a stored attribution: {error.errors(include_url=False)[0]['msg']}."
            ) from error


_ADAPTER = TypeAdapter(Attribution)


class Indexes:
    """The indexes of the models on this server, opened on first use.

    ``SANTACODER_ATTRIBUTION`` names one index for all models. Without it, a model's index is in the store, as
    ``attribution--ORG--NAME``, or as ``attribution--ORG`` for all models of that organisation.
    """

    def __init__(self, settings: Settings) -> None:
        """
        Raises:
            AttributionError: the index that the settings name cannot be used.
        """
        self._store = settings.store
        self._open = _opener(settings.attribution_on_ray)
        self._opened: dict[Path, Index] = {}
        self._lock = threading.Lock()
        self._own = self._get(settings.attribution) if settings.attribution else None

    def of(self, repo_id: str) -> Index | None:
        """The index of a model's training data, if there is one.

        Raises:
            AttributionError: it cannot be used.
        """
        if self._own is not None:
            return self._own
        whole = repo_id.replace("/", "--")
        for name in (whole, whole.split("--")[0]):
            folder = self._store / f"attribution--{name}"
            if folder.is_dir():
                return self._get(folder)
        return None

    def check(self, repo_id: str, text: str, language: str | None = None) -> Attribution | None:
        """The parts of ``text`` that occur in a model's training data; None if there is no index for it.

        Raises:
            AttributionError: the index cannot be used, or cannot look up this text.
        """
        index = self.of(repo_id)
        return None if index is None else Attribution(tuple(index.find(text, language)), index.searched)

    def _get(self, folder: Path) -> Index:
        with self._lock:
            if folder not in self._opened:
                self._opened[folder] = self._open(folder)
            return self._opened[folder]


def _opener(on_ray: bool) -> Callable[[Path], Index]:
    if not on_ray:
        return Shards
    try:
        from santacoder.attribution.on_ray import RayShards
    except ImportError as error:
        raise AttributionError("Attribution on Ray needs the ray library: pip install 'ray[data]'.") from error
    return RayShards
