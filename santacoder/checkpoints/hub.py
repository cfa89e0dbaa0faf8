"""The user's Hugging Face cache and the Hub, accessed only through ``huggingface_hub`` and with its settings.

``HF_HUB_OFFLINE`` disables network access; ``HF_ENDPOINT`` and ``HF_HUB_CACHE`` set the locations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from santacoder import pytorch, weight_files
from santacoder.adapters import CONFIG_FILE, WEIGHTS_FILE
from santacoder.checkpoints.download_limits import (
    require_fitting_weights,
    require_small_adapter,
    require_small_descriptions,
)
from santacoder.checkpoints.resumable import Report, fetch
from santacoder.checkpoints.store import (
    COMMIT_FILE,
    CURVES_FILE,
    EVAL_FILE,
    Commit,
    only_match,
    read_commit,
    repo_folder,
    same_branch,
)
from santacoder.config import SantaCoderConfig
from santacoder.errors import CheckpointError

_DESCRIPTIONS = (
    *("config.json", "tokenizer.json", "*_config.json", "special_tokens_map.json"),
    *(COMMIT_FILE, CURVES_FILE, EVAL_FILE),
)

_LOG_IN = "Log in on this machine with `hf auth login`, or start the command with HF_TOKEN=… of that account"


class HubUnreachable(CheckpointError):
    """The Hub could not be reached, so its contents are unknown."""


def cache() -> Path:
    """The user's cache folder, which has the same layout as the store. It is absolute, because the processes that
    compute with PyTorch and write graphs run in another folder."""
    return Path(constants.HF_HUB_CACHE).absolute()


def is_complete(snapshot: Path) -> bool:
    """Whether a snapshot has all files that a model needs; an interrupted download leaves only some."""
    needed = ("config.json", "tokenizer.json")
    return all((snapshot / name).is_file() for name in needed) and weight_files.are_complete(snapshot)


def branches(repo_id: str) -> dict[str, str]:
    """The branches of a repository on the Hub and their commits, ``main`` first.

    Raises:
        CheckpointError: the repository does not exist, or the Hub cannot be reached (``HubUnreachable``).
    """
    with hub_answers(repo_id):
        refs = huggingface_hub.HfApi().list_repo_refs(repo_id).branches
    ordered = sorted(refs, key=lambda ref: (ref.name != "main", ref.name))
    return {ref.name: ref.target_commit for ref in ordered}


def log(repo_id: str, branch: str) -> list[Commit]:
    """The commits of a branch on the Hub, newest first, with the contents of their ``commit.json``, if any.

    Raises:
        CheckpointError: the branch does not exist, or the Hub cannot be reached (``HubUnreachable``).
    """
    name = _branch(branch, branches(repo_id)) or branch
    with hub_answers(repo_id, branch):
        history = huggingface_hub.HfApi().list_repo_commits(repo_id, revision=name)
    parents = [entry.commit_id for entry in history[1:]] + [None]
    commits: list[Commit] = []
    ours = True
    for entry, parent in zip(history, parents, strict=True):
        # older commits than the first one without the file have none either: they precede the published branch
        commit = _described(repo_id, branch, entry.commit_id) if ours else None
        ours = commit is not None
        commit = commit or Commit(branch, None, None, None, None, entry.created_at.isoformat(timespec="seconds"))
        commits.append(replace(commit, parent=parent, sha=entry.commit_id, title=entry.title))
    return commits


def download(repo_id: str, revision: str, report: Report | None = None) -> Path:
    """Download the files of a revision that a model needs into the cache, and return the snapshot folder.

    The architecture, the tokenizer, all sizes and the room on the disk are checked before the weights are downloaded.
    A download that was interrupted continues. ``report`` is called as the bytes of the weights arrive; without it, a
    progress bar is shown.

    Raises:
        CheckpointError: the revision does not exist or cannot be used, or the Hub cannot be reached
            (``HubUnreachable``).
    """
    heads = branches(repo_id)
    target = _branch(revision, heads) or _commit(repo_id, revision, heads)
    with hub_answers(repo_id, revision, heads):
        entries = huggingface_hub.HfApi().list_repo_tree(repo_id, recursive=True, revision=target)
        sizes = {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}
    descriptions = {name: size for name, size in sizes.items() if _is_any_of(name, _DESCRIPTIONS)}
    weights = {name: sizes[name] for name in _with_weights(sizes)}
    if not (pytorch.is_installed() or any(name.endswith(".onnx") for name in weights)):
        raise CheckpointError(pytorch.how_to_install(f"{repo_id} has no ONNX graph to run, so it"))
    require_small_descriptions(repo_id, descriptions)
    folder = _fetched(repo_id, target, heads, descriptions)
    require_fitting_weights(repo_id, _checked_config(folder), weights)
    # the commit that was checked, although the branch may have moved
    with hub_answers(repo_id, folder.name, heads):
        fetch(repo_id, folder.name, weights, repo_folder(repo_id, cache()), report)
    return _fetched(repo_id, folder.name, heads, weights) if weights else folder


def download_adapter(repo_id: str, revision: str, report: Report | None = None) -> Path:
    """Download a LoRA adapter into the cache, and return the snapshot folder. Room on the disk, an interrupted download
    and ``report`` are as for a model.

    Raises:
        CheckpointError: it does not exist or is too large, or the Hub cannot be reached (``HubUnreachable``).
    """
    with hub_answers(repo_id, revision):
        entries = huggingface_hub.HfApi().list_repo_tree(repo_id, revision=revision)
        sizes = {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}
        if CONFIG_FILE not in sizes or WEIGHTS_FILE not in sizes:
            raise CheckpointError(f"{repo_id} has no {CONFIG_FILE} and {WEIGHTS_FILE}, so it is not a LoRA adapter.")
        require_small_adapter(repo_id, sizes[WEIGHTS_FILE])
        require_small_descriptions(repo_id, {CONFIG_FILE: sizes[CONFIG_FILE]})
    folder = _fetched(repo_id, revision, {}, [CONFIG_FILE])
    with hub_answers(repo_id, revision):
        fetch(repo_id, folder.name, {WEIGHTS_FILE: sizes[WEIGHTS_FILE]}, repo_folder(repo_id, cache()), report)
    return _fetched(repo_id, folder.name, {}, [WEIGHTS_FILE])


def _checked_config(folder: Path) -> SantaCoderConfig:
    # imported here because loading resolves revisions, which imports this module
    from santacoder.checkpoints.loading import read_config, read_tokenizer

    read_tokenizer(folder)
    return read_config(folder)


def _fetched(repo_id: str, target: str, heads: dict[str, str], names: Iterable[str]) -> Path:
    with hub_answers(repo_id, target, heads):
        return Path(huggingface_hub.snapshot_download(repo_id, revision=target, allow_patterns=list(names)))


def _branch(revision: str, heads: dict[str, str]) -> str | None:
    return next((name for name in same_branch(revision) if name in heads), None)


def _commit(repo_id: str, revision: str, heads: dict[str, str]) -> str:
    """The full commit that begins with ``revision``, among those of all branches, or ``revision`` itself if there is
    none.
    """
    if len(revision) == 40 or not set(revision) <= set("0123456789abcdef"):
        return revision
    with hub_answers(repo_id, revision, heads):
        histories = [huggingface_hub.HfApi().list_repo_commits(repo_id, revision=name) for name in heads]
    shas = [commit.commit_id for history in histories for commit in history]
    return only_match(repo_id, revision, shas) or revision


def _described(repo_id: str, branch: str, sha: str) -> Commit | None:
    with hub_answers(repo_id, sha):
        try:
            path = Path(huggingface_hub.hf_hub_download(repo_id, COMMIT_FILE, revision=sha))
        except EntryNotFoundError:
            return None
    return read_commit(path.parent, branch)


def _with_weights(names: Collection[str]) -> Iterator[str]:
    """Yield the files of one kind of weights in a repository, and its graphs."""
    weights = next((name for name in weight_files.NAMES if name in names), None)
    patterns = ["onnx/*"]
    if weights is not None:
        yield weights
        if weights.endswith(".index.json"):
            stem, _, suffix = weights.removesuffix(".index.json").rpartition(".")
            patterns.append(f"{stem}-*.{suffix}")
    yield from (name for name in names if _is_any_of(name, patterns))


def _is_any_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@contextmanager
def hub_answers(repo_id: str, revision: str | None = None, heads: dict[str, str] | None = None) -> Iterator[None]:
    """Translate exceptions of the client into sentences.

    Raises:
        CheckpointError: the Hub reported an error, or could not be reached (``HubUnreachable``).
    """
    if huggingface_hub.is_offline_mode():
        raise HubUnreachable("HF_HUB_OFFLINE is set, so the Hub was not contacted.")
    try:
        yield
    except CheckpointError:
        raise
    except RevisionNotFoundError as error:
        known = f" Its branches are: {', '.join(heads)}." if heads else ""
        raise CheckpointError(f"{repo_id} has no revision {revision!r} on the Hub.{known}") from error
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repo_id} asks for its terms to be accepted. 1. Accept them, logged in, on "
            f"{constants.ENDPOINT}/{repo_id}. 2. {_LOG_IN}; then try again."
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"There is no model {repo_id!r} on the Hub, or it asks for a login. 1. Look for it, logged in, on "
            f"{constants.ENDPOINT}/{repo_id}. 2. {_LOG_IN}; then try again."
        ) from error
    except HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise CheckpointError(
                f"The Hub refused {repo_id} ({_first_line(error)}); log in with `hf auth login` as its owner."
            ) from error
        raise HubUnreachable(f"The Hub is not working at the moment ({_first_line(error)}).") from error
    except Exception as error:  # connection errors have the types of the HTTP library that the client uses
        raise HubUnreachable(f"The Hub could not be reached ({_first_line(error)}).") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
