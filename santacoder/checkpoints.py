"""The store of published models, in the layout of a Hugging Face cache folder.

``models--ORG--NAME/refs/BRANCH`` holds a commit's sha, ``models--ORG--NAME/snapshots/SHA/`` its files, so
``transformers`` and ``huggingface_hub`` resolve it unchanged with ``cache_dir``. Every commit carries a
``commit.json`` that names its parent, which makes a branch a list of commits.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from santacoder.atomic import replacing, sync_folder
from santacoder.config import SantaCoderConfig
from santacoder.model import SantaCoder
from santacoder.tokenizer import END_OF_TEXT, FIM_MIDDLE, FIM_PAD, FIM_PREFIX, FIM_SUFFIX, Tokenizer

DEFAULT_STORE = Path(__file__).resolve().parent.parent / "checkpoints"
WEIGHTS_FILE = "model.safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class CheckpointError(Exception):
    """A checkpoint that cannot be found or read; the message is a sentence for the user."""


@dataclass(frozen=True)
class Commit:
    """One published state of a branch. ``validation_loss`` is in nats per token, ``date`` in ISO 8601, UTC."""

    branch: str
    parent: str | None
    step: int
    tokens: int
    validation_loss: float | None
    date: str
    sha: str = ""


def publish(
    model: SantaCoder,
    tokenizer: Tokenizer,
    repo_id: str,
    branch: str = "main",
    *,
    step: int = 0,
    tokens: int = 0,
    validation_loss: float | None = None,
    dtype: torch.dtype = torch.bfloat16,
    files: Mapping[str, str] | None = None,
    store: Path = DEFAULT_STORE,
) -> str:
    """Add a commit to ``branch`` and return its sha. ``files`` are further texts by name, such as ``README.md``.

    The branch points to the new commit once that is complete; a kill before leaves the branch as it was.

    Raises:
        CheckpointError: a repository or branch name with characters the store does not take.
        OSError: the disk is full; the branch is as it was.
    """
    repo = _repo_folder(repo_id, store)
    _require_name("branch", branch)
    commit = Commit(
        branch=branch,
        parent=_read_ref(repo, branch),
        step=step,
        tokens=tokens,
        validation_loss=validation_loss,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    snapshots = repo / "snapshots"
    snapshots.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".incomplete-", dir=repo))
    try:
        _write_snapshot(staging, model, tokenizer, commit, dtype, files or {})
        sha = _content_sha(staging)
        staging.chmod(0o755)
        if not (snapshots / sha).exists():
            staging.replace(snapshots / sha)
            sync_folder(snapshots)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    with replacing(repo / "refs" / branch) as ref:
        ref.write(sha.encode())
    return sha


def repositories(store: Path = DEFAULT_STORE) -> list[str]:
    """Names of the repositories that have at least one branch, such as ``santacoder/nano``."""
    folders = sorted(store.glob("models--*--*/refs"))
    return [refs.parent.name.removeprefix("models--").replace("--", "/", 1) for refs in folders if any(refs.iterdir())]


def branches(repo_id: str, *, store: Path = DEFAULT_STORE) -> dict[str, str]:
    """The branches of a repository and the commits they point to, ``main`` first.

    Raises:
        CheckpointError: the store has no such repository.
    """
    refs = _existing_repo(repo_id, store) / "refs"
    names = [path.name for path in refs.iterdir() if _NAME.fullmatch(path.name)]
    return {name: (refs / name).read_text().strip() for name in sorted(names, key=lambda name: (name != "main", name))}


def log(repo_id: str, branch: str = "main", *, store: Path = DEFAULT_STORE) -> list[Commit]:
    """The commits of ``branch``, newest first.

    Raises:
        CheckpointError: the store has no such repository or branch.
    """
    snapshot = resolve(repo_id, branch, store=store)
    commits = []
    while snapshot.is_dir():
        commits.append(_read_commit(snapshot))
        if commits[-1].parent is None:
            break
        snapshot = snapshot.with_name(commits[-1].parent)
    return commits


def resolve(repo_id: str, revision: str = "main", *, store: Path = DEFAULT_STORE) -> Path:
    """The snapshot folder of a branch, a full commit or an unambiguous beginning of one.

    Raises:
        CheckpointError: the repository or revision does not exist; the message lists what does.
    """
    repo = _existing_repo(repo_id, store)
    sha = _read_ref(repo, revision) if _NAME.fullmatch(revision) else None
    if sha is None and re.fullmatch(r"[0-9a-f]{4,40}", revision):
        matches = [path.name for path in (repo / "snapshots").glob(f"{revision}*")]
        if len(matches) > 1:
            raise CheckpointError(f"The commit {revision} of {repo_id} is ambiguous: {', '.join(sorted(matches))}.")
        sha = matches[0] if matches else None
    if sha is None:
        known = ", ".join(branches(repo_id, store=store))
        raise CheckpointError(f"{repo_id} has no revision {revision!r}. Its branches are: {known}.")
    if not (repo / "snapshots" / sha).is_dir():
        raise CheckpointError(f"The files of {repo_id} at {revision} ({sha}) are missing from {repo}.")
    return repo / "snapshots" / sha


def load(
    repo_id_or_folder: str | Path,
    revision: str = "main",
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    store: Path = DEFAULT_STORE,
) -> tuple[SantaCoder, Tokenizer]:
    """The model, in evaluation mode, and its tokenizer, from the store or from a folder with a snapshot's files.

    Raises:
        CheckpointError: nothing there, or a file is damaged; the message names the file and what is wrong with it.
    """
    folder = Path(repo_id_or_folder)
    if not repo_id_or_folder or not folder.is_dir():
        folder = resolve(str(repo_id_or_folder), revision, store=store)
    config = _read_config(folder / "config.json")
    try:
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} has {tokenizer.vocab_size} tokens, more than the {config.vocab_size} of the "
            "model beside it."
        )
    with torch.device("meta"):
        model = SantaCoder(config)
    _load_weights(model, folder / WEIGHTS_FILE, dtype, torch.device(device))
    return model.eval(), tokenizer


def _write_snapshot(
    folder: Path,
    model: SantaCoder,
    tokenizer: Tokenizer,
    commit: Commit,
    dtype: torch.dtype,
    files: Mapping[str, str],
) -> None:
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    try:
        save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    except SafetensorError as error:  # how the library reports that a write failed
        raise OSError(str(error)) from error
    tokenizer.save(folder / "tokenizer.json")
    end_of_text = tokenizer.end_of_text_id
    described = {key: value for key, value in asdict(commit).items() if key != "sha"}
    documents = {
        "config.json": model.config.to_transformers(eos_token_id=end_of_text, dtype=str(dtype).removeprefix("torch.")),
        "generation_config.json": {"bos_token_id": end_of_text, "eos_token_id": end_of_text},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "unk_token": END_OF_TEXT,
            "additional_special_tokens": [FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD],
            "clean_up_tokenization_spaces": False,
            "model_max_length": model.config.n_positions,
        },
        "commit.json": described,
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _content_sha(folder: Path) -> str:
    """40 hexadecimal digits, as long as git's, over names and contents."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _load_weights(model: SantaCoder, path: Path, dtype: torch.dtype, device: torch.device) -> None:
    """Fill a model made on the meta device, tensor by tensor."""
    expected = {name: parameter.shape for name, parameter in model.named_parameters()}
    weights: dict[str, torch.Tensor] = {}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            stored = set(file.keys())
            for name, shape in expected.items():
                if name not in stored:
                    raise CheckpointError(f"{path} lacks the tensor {name}.")
                if tuple(file.get_slice(name).get_shape()) != tuple(shape):
                    raise CheckpointError(
                        f"{path}: {name} has shape {file.get_slice(name).get_shape()}, but config.json asks for "
                        f"{list(shape)}."
                    )
                weights[name] = file.get_tensor(name).to(device=device, dtype=dtype)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut short ({error}); copy or publish it again.") from error
    model.load_state_dict(weights, assign=True)
    model.requires_grad_(False)


def _read_config(path: Path) -> SantaCoderConfig:
    try:
        return SantaCoderConfig.from_transformers(json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing, so {path.parent} is not a checkpoint.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _read_commit(snapshot: Path) -> Commit:
    try:
        return Commit(**json.loads((snapshot / "commit.json").read_text()), sha=snapshot.name)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{snapshot / 'commit.json'} cannot be read: {error}.") from error


def _existing_repo(repo_id: str, store: Path) -> Path:
    repo = _repo_folder(repo_id, store)
    if not (repo / "refs").is_dir():
        known = ", ".join(repositories(store)) or "nothing yet"
        raise CheckpointError(f"There is no model {repo_id!r} in {store}. It holds: {known}.")
    return repo


def _repo_folder(repo_id: str, store: Path) -> Path:
    organisation, _, name = repo_id.partition("/")
    _require_name("model", organisation, repo_id)
    _require_name("model", name, repo_id)
    return store / f"models--{organisation}--{name}"


def _require_name(kind: str, name: str, whole: str | None = None) -> None:
    if not _NAME.fullmatch(name) or "--" in name:
        raise CheckpointError(
            f"{whole or name!r} is not a {kind} name: use letters, digits, '.', '_' and single '-'"
            + (", as in santacoder/nano." if kind == "model" else ".")
        )


def _read_ref(repo: Path, branch: str) -> str | None:
    path = repo / "refs" / branch
    return path.read_text().strip() if path.is_file() else None
