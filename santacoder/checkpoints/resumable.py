"""Downloads of large files into the Hugging Face cache that continue where they stopped, also in another process.

``huggingface_hub`` deletes what it has of a file when its process ends. So the weights are put into the cache's folder
of contents here, under the names that ``huggingface_hub`` gives them, and it finds them there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
from filelock import FileLock
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers
from tqdm import tqdm

from santacoder.errors import CheckpointError

Report = Callable[[int, int], None]
"""Called with the number of bytes that are here, and of all."""

_BLOCK = 1 << 20
# room that a download leaves on the disk
_SPARE_BYTES = 256 << 20


def fetch(repo_id: str, commit: str, sizes: Mapping[str, int], repository: Path, report: Report | None = None) -> None:
    """Download files of a commit into ``repository``, the folder of the model in the cache.

    Args:
        repo_id: the model on the Hub.
        commit: the full commit.
        sizes: bytes by file name.
        repository: the folder ``models--ORG--NAME``.
        report: called as bytes arrive; without it, a progress bar is shown on the terminal.

    Raises:
        CheckpointError: the disk has too little room, or a file arrived damaged.
    """
    pending = {name: size for name, size in sizes.items() if not (repository / "snapshots" / commit / name).exists()}
    files = {name: _Download(repo_id, commit, name, repository) for name in pending}
    total = sum(sizes.values())
    here = total - sum(pending.values()) + sum(file.n_here for file in files.values())
    _require_room(repo_id, total - here, repository)
    with tqdm(
        total=total, initial=here, unit="B", unit_scale=True, desc=repo_id, disable=report is not None or total == here
    ) as bar:

        def advance(n_bytes: int) -> None:
            nonlocal here
            here += n_bytes
            bar.update(n_bytes)
            if report is not None:
                report(here, total)

        for file in files.values():
            file.run(advance)


class _Download:
    """One file: its contents are in ``blobs`` under their hash, and until they are complete beside it."""

    def __init__(self, repo_id: str, commit: str, name: str, repository: Path) -> None:
        self._url = huggingface_hub.hf_hub_url(repo_id, name, revision=commit)
        self._headers = build_hf_headers()
        self._name = f"{name} of {repo_id}"
        found = huggingface_hub.get_hf_file_metadata(self._url, headers=self._headers)
        if not found.etag or Path(found.etag).name != found.etag:
            raise CheckpointError(f"The Hub does not say what {self._name} contains, so it is not downloaded.")
        self._etag, self._size = found.etag, found.size
        self._blob = repository / "blobs" / found.etag
        self._partial = self._blob.with_name(f"{found.etag}.santacoder.incomplete")
        self._lock = repository.parent / ".locks" / repository.name / f"{found.etag}.santacoder.lock"

    @property
    def n_here(self) -> int:
        """The number of bytes on this machine."""
        existing = next((file for file in (self._blob, self._partial) if file.exists()), None)
        return existing.stat().st_size if existing else 0

    def run(self, advance: Callable[[int], None]) -> None:
        for folder in (self._blob.parent, self._lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock):
            if not self._blob.exists():
                self._continue(advance)
                self._check()
                self._partial.replace(self._blob)

    def _continue(self, advance: Callable[[int], None]) -> None:
        with self._partial.open("ab") as file:
            http_get(
                self._url,
                file,
                resume_size=file.tell(),
                headers=self._headers,
                expected_size=self._size,
                displayed_filename=self._name,
                tqdm_class=_counter(advance),
            )

    def _check(self) -> None:
        """The name of the contents is their SHA-256, or git's hash for a file that is not stored as a large one."""
        size = self._partial.stat().st_size
        digest = hashlib.sha256() if len(self._etag) == 64 else hashlib.sha1(b"blob %d\0" % size)
        with self._partial.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != self._etag:
            self._partial.unlink()
            raise CheckpointError(f"{self._name} arrived damaged and was deleted; try again.")


def _counter(advance: Callable[[int], None]) -> Any:
    """A progress bar, as the client wants one, that shows nothing and passes on how many bytes arrive."""

    class Counter:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n_bytes: int) -> None:
            advance(n_bytes)

    return Counter


def _require_room(repo_id: str, n_bytes: int, repository: Path) -> None:
    existing = next(path for path in [repository, *repository.parents] if path.exists())
    if not os.access(existing, os.W_OK):
        raise CheckpointError(
            f"The Hugging Face cache, {repository.parent}, cannot be written to; name another folder with HF_HUB_CACHE."
        )
    free = shutil.disk_usage(existing).free
    if n_bytes + _SPARE_BYTES > free:
        raise CheckpointError(
            f"{repo_id} needs {n_bytes / 1e9:.1f} GB more on the disk of the Hugging Face cache, which has "
            f"{free / 1e9:.1f} GB left. Make room, or name another folder with HF_HUB_CACHE."
        )
