"""Revisions with a LoRA adapter: ``base+adapter``, where the adapter is a folder or a repository of the Hub.

Such a revision is a snapshot in the user's cache: links to the base's files, and a copy of the adapter, which is merged
when the weights are read. Its name is a digest of both.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from santacoder.adapters import ADAPTER_FOLDER, CONFIG_FILE, WEIGHTS_FILE
from santacoder.checkpoint_files import read_object
from santacoder.digests import sha256
from santacoder.errors import CheckpointError
from santacoder.paths import cache_folder, user_path

MARK = "+"
"""Between the base's revision and the adapter."""
# facts about the base's commit, which are not true of another model
_OF_COMMIT = {"README.md", "commit.json", "eval.json", "curves.json", "onnx", ".gitattributes"}
_SHA = re.compile(r"[0-9a-f]{40}")


def adapted_snapshot(base: Path, adapter: Path) -> Path:
    """The snapshot of ``base`` with the adapter in the folder ``adapter``.

    Raises:
        CheckpointError: it is no adapter, or the user's cache cannot be written to.
    """
    read_object(adapter / CONFIG_FILE)
    digest = hashlib.sha1(base.name.encode())
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (adapter / name).is_file():
            raise CheckpointError(f"{adapter.name} has no {name}, so it is not a LoRA adapter in peft's format.")
        state = (adapter / name).stat()
        digest.update(_digest_of(adapter / name, state.st_mtime_ns, state.st_size))
    snapshot = _folder(base.parent.parent.name) / digest.hexdigest()
    if (snapshot / "config.json").exists():  # and its link is not broken
        return snapshot
    try:
        _write(snapshot, base, adapter)
    except OSError as error:
        raise CheckpointError(f"The user's cache cannot be written to ({error}); set XDG_CACHE_HOME.") from error
    return snapshot


def known_snapshot(repo_id: str, sha: str) -> Path | None:
    """The snapshot with that digest, if it has been used before."""
    if not _SHA.fullmatch(sha):
        return None
    snapshot = _folder(f"models--{repo_id.replace('/', '--')}") / sha
    return snapshot if (snapshot / "config.json").exists() else None


def is_adapted(snapshot: Path) -> bool:
    return (snapshot / ADAPTER_FOLDER).is_dir()


def local_adapter(name: str) -> Path | None:
    """The folder that ``name`` is, if it has an adapter."""
    folder = user_path(name)
    return folder if name and (folder / CONFIG_FILE).is_file() else None


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` has both files of an adapter; an interrupted download leaves only one."""
    return all((folder / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))


def _folder(repository: str) -> Path:
    return cache_folder() / "adapted" / repository / "snapshots"


def _write(snapshot: Path, base: Path, adapter: Path) -> None:
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=snapshot.parent, prefix=".") as made:
        unfinished = Path(made) / snapshot.name
        (unfinished / ADAPTER_FOLDER).mkdir(parents=True)
        for file in base.iterdir():
            if file.name not in _OF_COMMIT and file.is_file():
                (unfinished / file.name).symlink_to(file.absolute())
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copyfile(adapter / name, unfinished / ADAPTER_FOLDER / name)
        shutil.rmtree(snapshot, ignore_errors=True)  # of a base that has been removed
        unfinished.rename(snapshot)


@lru_cache(maxsize=32)
def _digest_of(path: Path, _modified_ns: int, _size: int) -> bytes:
    return sha256(path)
