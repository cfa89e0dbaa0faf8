"""The code of a project on disk: which line defines a name, and where similar lines stand.

A thread reads the files, and again what has changed; until it has, the index knows less. Similar lines are found as in
a search engine: the words of the code around the cursor, the rarer the more they count, in windows of a few lines.
"""

from __future__ import annotations

import logging
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.project.excerpts import LONGEST_LINE, Choice, Excerpt, ShownLines, definition, definitions_in
from santacoder.errors import UserError
from santacoder.languages import language_of_file
from santacoder.paths import SKIPPED_FOLDERS

T = TypeVar("T")

log = logging.getLogger(__name__)

_MOST_FILES = 5_000
_MOST_BYTES = 10_000_000  # of all files; the index takes about twenty times as much memory
_MOST_BYTES_OF_A_FILE = 1_000_000
_WINDOW_LINES = 8
_LINES_AFTER = 4  # the cursor; what is searched has a window's lines before it
_SHOWN_LINES = 12  # of a similar place: the window, and what follows it
_MOST_PLACES = 200  # a word in more windows says little, and would take long to count
_WORDS_TO_SEARCH = 40
_LEAST_SHARED = 3  # words, keywords among them
_SIMILAR_PLACES = 2
_SIMILAR_SHARE = 0.75  # of the budget; the rest is for definitions
_SECONDS_TO_LIST = 20
_SECONDS_BETWEEN_CHANGES = 1.0
_SECONDS_BETWEEN_SCANS = 60.0
_EDITED = (0, 0)  # the stamp of a file as it is in the editor
_WORD = re.compile(r"[^\W\d]\w{2,}")


@dataclass(frozen=True)
class _File:
    """A file of the project. ``stamp`` changes when the file does."""

    name: str
    lines: Sequence[str]
    definitions: dict[str, int]
    windows: list[frozenset[str]]
    stamp: tuple[int, int]


class ProjectIndex:
    """The files below ``folder`` that Git does not ignore. Documents that are open in the editor replace them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._files: dict[Path, _File] = {}
        self._defining: dict[str, set[Path]] = {}
        self._places: dict[str, set[tuple[Path, int]]] = {}  # the windows with a word
        self.version = 0
        """Another number once the files have changed."""
        self._lock = threading.Lock()
        self._changed: dict[Path, Callable[[], list[str]]] = {}
        self._open: set[Path] = set()
        self._woken = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Read the files in a thread, and keep up with them until the process ends or :meth:`end` is called."""
        threading.Thread(target=self._keep_up, name="project index", daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        self._woken.set()

    def changed(self, path: Path, lines: Callable[[], list[str]]) -> None:
        """The document at ``path`` is open, and has been edited; ``lines`` returns its text now. Documents in other
        languages do not belong to the index.
        """
        path = self._resolved(path)
        if path.is_relative_to(self._folder) and language_of_file(path.name):
            with self._lock:
                self._open.add(path)
                self._changed[path] = lines
            self._woken.set()

    def closed(self, path: Path) -> None:
        """The document at ``path`` was closed: the file counts again, from the next look at it."""
        with self._lock:
            self._open.discard(self._resolved(path))

    def _resolved(self, path: Path) -> Path:
        return Path(os.path.realpath(path))

    # what is found

    def definition(self, name: str, without: Path | None) -> Excerpt | None:
        """The lines that define ``name``, if one file alone does, and not the file ``without``."""
        with self._lock:
            paths = self._defining.get(name, set())
            if len(paths) != 1 or (without and self._resolved(without) in paths):
                return None
            (path,) = paths
            file = self._files[path]
            return Excerpt(file.name, "".join(definition(file.lines, file.definitions[name])))

    def add_similar(self, choice: Choice, before: str, after: str, most: int) -> None:
        """Add the places most similar to those around a cursor to ``choice``, which has ``most`` characters; a part is
        left for definitions."""
        for excerpt in self.similar(before, after, _SIMILAR_PLACES):
            choice.add(excerpt, int(most * _SIMILAR_SHARE))

    def similar(self, before: str, after: str, count: int) -> list[Excerpt]:
        """The ``count`` places whose lines have most in common with those around a cursor, the best first, none of them
        next to another. What is ``before`` and ``after`` it is shown anyway, and not repeated. Places with hardly a
        word in common would lead the model astray, above all in front of a few lines."""
        lines_before, lines_after = before.splitlines(keepends=True), after.splitlines(keepends=True)
        asked = set(_words([*lines_before[-_WINDOW_LINES:], *lines_after[:_LINES_AFTER]]))
        shown = ShownLines(before, after)
        with self._lock:
            found: list[tuple[Path, int]] = []
            for (path, window), _ in self._scores(asked).most_common(8 * count):
                is_near = any(path == other and abs(window - near) < 2 for other, near in found)
                n_shared = len(asked & self._files[path].windows[window])
                if n_shared >= _LEAST_SHARED and not is_near and not shown.repeat(self._excerpt(path, window)):
                    found.append((path, window))
                if len(found) == count:
                    break
            return [self._excerpt(path, window) for path, window in found]

    def _scores(self, words: Iterable[str]) -> Counter[tuple[Path, int]]:
        """How much each window has in common with ``words``: Jaccard's index, in which rare words weigh more."""
        n_windows = 1 + sum(len(file.windows) for file in self._files.values())
        known = [(len(places), word) for word in words if (places := self._places.get(word))]
        rare = sorted(known)[:_WORDS_TO_SEARCH]
        scores: Counter[tuple[Path, int]] = Counter()
        for n_places, word in rare:
            if n_places <= _MOST_PLACES:
                for place in self._places[word]:
                    scores[place] += math.log(n_windows / n_places)  # type: ignore[assignment]  # Counter adds floats
        for place in scores:
            path, window = place
            scores[place] /= math.sqrt(1 + len(self._files[path].windows[window]))  # type: ignore[assignment]
        return scores

    def _excerpt(self, path: Path, window: int) -> Excerpt:
        file = self._files[path]
        lines = file.lines[window * _WINDOW_LINES :][:_SHOWN_LINES]
        return Excerpt(file.name, "".join(line for line in lines if len(line) <= LONGEST_LINE))

    # keeping up

    def _keep_up(self) -> None:
        while not self._ended.is_set():
            try:
                self.scan()
                next_scan = time.monotonic() + _SECONDS_BETWEEN_SCANS
                while self._is_woken_before(next_scan) and not self._ended.is_set():
                    self._ended.wait(_SECONDS_BETWEEN_CHANGES)
                    self._woken.clear()
                    self.take_changes()
            except OSError as error:
                log.warning("the project's files cannot be read: %s", error)
                self._ended.wait(_SECONDS_BETWEEN_SCANS)

    def _is_woken_before(self, end: float) -> bool:
        """Wait for a change until the time ``end``; whether there is one before it."""
        seconds = end - time.monotonic()
        return seconds > 0 and self._woken.wait(seconds)

    def take_changes(self) -> None:
        """Index what has been edited in the editor."""
        with self._lock:
            changed, self._changed = self._changed, {}
        for path, read in changed.items():
            lines = read()
            is_small = sum(map(len, lines)) <= _MOST_BYTES_OF_A_FILE
            self._put(path, lines if is_small else [], _EDITED)

    def scan(self) -> None:
        """Index the files that have changed on disk, and forget those that are gone."""
        left = _MOST_BYTES
        seen: set[Path] = set()
        with self._lock:
            opened = frozenset(self._open)
        for path in project_files(self._folder)[:_MOST_FILES]:
            if self._ended.is_set():
                return
            try:
                status = path.lstat()
                if path.is_symlink() or not path.is_file() or status.st_size > min(left, _MOST_BYTES_OF_A_FILE):
                    continue
                left -= status.st_size
                stamp = (status.st_mtime_ns, status.st_size)
                known = self._files.get(path)
                if path not in opened and (known is None or known.stamp != stamp):
                    self._put(path, _lines_of(path), stamp)
                seen.add(path)
            except (OSError, ValueError) as error:
                log.info("%s is not indexed: %s", path, error)
        with self._lock:
            for path in self._files.keys() - seen - opened:
                self.version += 1
                self._remove(path)

    def _put(self, path: Path, lines: list[str], stamp: tuple[int, int]) -> None:
        chunks = (lines[start : start + _WINDOW_LINES] for start in range(0, len(lines), _WINDOW_LINES))
        windows = [frozenset(map(sys.intern, _words(chunk))) for chunk in chunks]
        file = _File(_printable(path.name), lines, definitions_in(lines), windows, stamp)
        with self._lock:
            self.version += 1
            self._remove(path)
            self._files[path] = file
            for name in file.definitions:
                self._defining.setdefault(name, set()).add(path)
            for window, words in enumerate(windows):
                for word in words:
                    self._places.setdefault(word, set()).add((path, window))

    def _remove(self, path: Path) -> None:
        file = self._files.pop(path, None)
        if file is None:
            return
        for name in file.definitions:
            _discard(self._defining, name, path)
        for window, words in enumerate(file.windows):
            for word in words:
                _discard(self._places, word, (path, window))


def _lines_of(path: Path) -> list[str]:
    """Raises ValueError if no request may contain the file's text: it is not UTF-8, or has NUL characters."""
    text = path.read_text("utf-8-sig")
    if "\0" in text:
        raise UserError("it has NUL characters")
    return text.splitlines(keepends=True)


def _printable(name: str) -> str:
    """A file's name as part of a line of text: some systems allow line breaks in it, and bytes that are not UTF-8."""
    return "".join(character if character.isprintable() else "\ufffd" for character in name)


def _words(lines: Iterable[str]) -> list[str]:
    return _WORD.findall("".join(line for line in lines if len(line) <= LONGEST_LINE))


def _discard(table: dict[str, set[T]], key: str, value: T) -> None:
    table[key].discard(value)
    if not table[key]:
        del table[key]


def project_files(folder: Path) -> list[Path]:
    """The files below ``folder`` in a known language, without those that Git ignores, if it is a checkout."""
    # the settings of a checkout from elsewhere may name a program that tells which files have changed
    git = ["git", "-c", "core.fsmonitor=false", "-C", str(folder)]
    command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS_TO_LIST).stdout
        names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    except (OSError, subprocess.SubprocessError):
        names = []
    # nothing is listed either if the folder itself is ignored
    return sorted({folder / name for name in names or _walk(folder) if language_of_file(name)})


def _walk(folder: Path) -> Iterable[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        yield from (str(Path(root, name).relative_to(folder)) for name in names)
