"""The store of published models, in the layout of a Hugging Face cache folder.

``models--ORG--NAME/refs/BRANCH`` contains a commit's sha, and ``models--ORG--NAME/snapshots/SHA/`` its files. Therefore
``transformers`` and ``huggingface_hub`` can read the store with ``cache_dir``, and the user's cache can be read like a
store. Commits of this project have a ``commit.json`` that names the parent, so that a branch is a list of commits.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from santacoder.checkpoint_files import read_object, shown
from santacoder.errors import CheckpointError
from santacoder.fim import FimOrder
from santacoder.paths import CHECKOUT, data_folder

DEFAULT_STORE = (CHECKOUT or data_folder()) / "checkpoints"
EMBEDDED = ("santacoder/nano", "santacoder/mini")  # the models in the repository's checkpoints/
COMMIT_FILE = "commit.json"
EVAL_FILE = "eval.json"
CURVES_FILE = "curves.json"
GENERATION_FILE = "generation_config.json"
# the published name of the branch that became the final model, and its name elsewhere
_SAME_BRANCH = {"main": "final", "final": "main"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")  # the same limit as on the Hub
_SHA = re.compile(r"[0-9a-f]{4,40}")
_COMMIT_TYPES: dict[str, tuple[type, ...]] = {
    "branch": (str,),
    "parent": (str, type(None)),
    "step": (int, type(None)),
    "tokens": (int, type(None)),
    "validation_loss": (int, float, type(None)),
    "date": (str,),
    "metrics": (dict,),
}


@dataclass(frozen=True)
class Commit:
    """A commit of a branch.

    ``validation_loss`` is in nats per token, ``date`` is in ISO 8601, UTC. For commits of others, only ``sha`` is
    certain to be known: numbers may be None, and ``date`` may be empty. ``title`` is the commit's title on the Hub.
    ``metrics`` are further scores by name.
    """

    branch: str
    parent: str | None
    step: int | None
    tokens: int | None
    validation_loss: float | None
    date: str
    sha: str = ""
    title: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RevisionScore:
    """The score of a revision on a benchmark: the mean over its tasks, and the 95 % interval if known."""

    benchmark: str
    language: str
    metric: str
    value: float
    interval: tuple[float, float] | None = None
    temperature: float | None = None


def read_fim_order(folder: Path) -> FimOrder | None:
    """The FIM order with the best infilling scores, if the ``generation_config.json`` in ``folder`` states it."""
    try:
        order = read_object(folder / GENERATION_FILE).get("fim_order")
    except CheckpointError:  # older revisions and those of others may not have it
        return None
    return order if order in get_args(FimOrder) else None


def repositories(store: Path = DEFAULT_STORE) -> list[str]:
    """Names of the repositories with at least one branch, such as ``santacoder/nano``."""
    folders = sorted(store.glob("models--*--*/refs"))
    names = [refs.parent.name.removeprefix("models--").replace("--", "/", 1) for refs in folders]
    return [name for name in names if all(map(_is_name, name.split("/"))) and branches(store, name)]


def has_repository(store: Path, repo_id: str) -> bool:
    """Whether ``repo_id`` is among the :func:`repositories`, without reading the others."""
    parts = repo_id.split("/")
    return len(parts) == 2 and all(map(_is_name, parts)) and bool(branches(store, repo_id))


def branches(store: Path, repo_id: str) -> dict[str, str]:
    """The branches of a repository and their commits, ``main`` first; empty if the repository does not exist.

    Raises:
        CheckpointError: ``repo_id`` is not a valid name.
    """
    refs = sorted((repo_folder(repo_id, store) / "refs").glob("*"), key=lambda path: (path.name != "main", path.name))
    return {path.name: path.read_text().strip() for path in refs if path.is_file() and _NAME.fullmatch(path.name)}


def find(store: Path, repo_id: str, revision: str) -> str | None:
    """The commit of a branch, a full commit or a prefix of one, or None. ``main`` and ``final`` are the same branch.

    Raises:
        CheckpointError: the prefix is ambiguous, or ``repo_id`` is not a valid name.
    """
    commits = branches(store, repo_id)
    sha = commits.get(revision, commits.get(_SAME_BRANCH.get(revision, "")))
    if sha is None and _SHA.fullmatch(revision):
        snapshots = repo_folder(repo_id, store) / "snapshots"
        sha = only_match(repo_id, revision, [path.name for path in snapshots.glob(f"{revision}*")])
    return sha


def snapshot(store: Path, repo_id: str, sha: str) -> Path:
    """The folder of a commit's files, whether it exists or not."""
    return repo_folder(repo_id, store) / "snapshots" / sha


def log(store: Path, repo_id: str, branch: str, sha: str) -> list[Commit]:
    """The commits from ``sha`` back to the first whose files exist, newest first. Each is listed once, even if parents
    form a cycle.
    """
    commits: dict[str, Commit] = {}
    while sha not in commits and snapshot(store, repo_id, sha).is_dir():
        commits[sha] = read_commit(snapshot(store, repo_id, sha), branch)
        parent = commits[sha].parent
        if parent is None:
            break
        sha = parent
    return list(commits.values())


def read_commit(folder: Path, branch: str) -> Commit:
    """Read the ``commit.json`` of the snapshot in ``folder``.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / COMMIT_FILE
    if not path.exists():
        return Commit(branch, None, None, None, None, "", sha=folder.name)
    document = read_object(path)
    try:
        commit = Commit(**{**document, "sha": folder.name, "title": ""})
        for name, types in _COMMIT_TYPES.items():
            if not isinstance(getattr(commit, name), types) or isinstance(getattr(commit, name), bool):
                raise TypeError(f"its {name} is {getattr(commit, name)!r}"[:80])
        if commit.parent is not None and not _SHA.fullmatch(commit.parent):
            raise TypeError(f"its parent {commit.parent[:40]!r} is not a commit")
        loss = None if commit.validation_loss is None else _finite(commit.validation_loss)
        metrics = {name: number for name, value in commit.metrics.items() if (number := _finite(value)) is not None}
        for count in (commit.step or 0, commit.tokens or 0):
            float(count)
        return replace(commit, validation_loss=loss, metrics=metrics)
    except (ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error}.") from error


def read_scores(folder: Path) -> list[RevisionScore]:
    """Read the scores in the ``eval.json`` of a snapshot.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / EVAL_FILE
    try:
        results = read_object(path)["results"] if path.exists() else []
        return [_score(result, metric, document) for result in results for metric, document in result["scores"].items()]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error!r}.") from error


def _score(result: dict[str, Any], metric: str, document: dict[str, Any]) -> RevisionScore:
    interval, temperature = document.get("interval"), result.get("settings", {}).get("temperature")
    value = _finite(document["value"])
    if value is None or not isinstance(result["benchmark"], str) or not isinstance(result["language"], str):
        raise TypeError("a score has no value, or a name that is not text")
    return RevisionScore(
        result["benchmark"],
        result["language"],
        metric,
        value,
        (float(interval[0]), float(interval[1])) if interval else None,
        None if temperature is None else float(temperature),
    )


def read_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The training curves of a snapshot: for each metric, (steps, value) pairs in order.

    The result is empty without a ``curves.json``. Values that are not finite are left out.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / CURVES_FILE
    try:
        document = read_object(path) if path.exists() else {}
        return {
            name: [(int(step), number) for step, value in points if (number := _finite(value)) is not None]
            for name, points in document.items()
        }
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error}.") from error


def _finite(value: object) -> float | None:
    """``value`` as a float, or None for infinity or NaN, which a diverged training leaves.

    Raises:
        TypeError: it is not a number.
        OverflowError: it is too large for a float.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number"[:80])
    return float(value) if math.isfinite(value) else None


def same_branch(branch: str) -> list[str]:
    """The names of ``branch``, its own first."""
    return [branch, _SAME_BRANCH[branch]] if branch in _SAME_BRANCH else [branch]


def only_match(repo_id: str, beginning: str, shas: list[str]) -> str | None:
    """The only commit of ``shas`` that begins with ``beginning``, or None.

    Raises:
        CheckpointError: there is more than one.
    """
    matches = sorted({sha for sha in shas if sha.startswith(beginning)})
    if len(matches) > 1:
        raise CheckpointError(f"The commit {beginning} of {repo_id} is ambiguous: {', '.join(matches)}.")
    return matches[0] if matches else None


def repo_folder(repo_id: str, store: Path) -> Path:
    """The folder of a repository.

    Raises:
        CheckpointError: ``repo_id`` is not a valid name.
    """
    organisation, _, name = repo_id.partition("/")
    for part in (organisation, name):
        if not _is_name(part):
            raise CheckpointError(
                f"{repo_id[:200]!r} is not a model name: use letters, digits, '.', '_' and single '-', as in "
                "santacoder/nano."
            )
    return store / f"models--{organisation}--{name}"


def require_branch(repo_id: str, branch: str, store: Path) -> Path:
    """The folder of a repository, after checking that ``branch`` is a valid name.

    Raises:
        CheckpointError: one of the names has characters that are not portable in file names.
    """
    if not _is_name(branch):
        raise CheckpointError(
            f"{branch[:100]!r} is not a branch name: use up to 96 letters, digits, '.', '_' and single '-'."
        )
    return repo_folder(repo_id, store)


def require_revision(repo_id: str, revision: str) -> None:
    """Check that ``revision`` can be a branch or commit.

    Raises:
        CheckpointError: it cannot.
    """
    if not _NAME.fullmatch(revision):
        raise CheckpointError(f"{revision[:100]!r} is neither a branch nor a commit of {repo_id}.")


def read_ref(repo: Path, branch: str) -> str | None:
    """The commit that ``branch`` points to, or None."""
    path = repo / "refs" / branch
    return path.read_text().strip() if path.is_file() else None


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and "--" not in text
