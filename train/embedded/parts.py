"""Weights in files of limited size, and their publication.

    python -m train.embedded.parts FOLDER --store OUT/store

publishes what ``python -m train.embedded.timed`` has written to FOLDER as a commit of ``santacoder/mini``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from santacoder import checkpoints
from santacoder.atomic import replacing
from santacoder.config import SantaCoderConfig
from santacoder.digests import sha256
from santacoder.errors import CheckpointError, UserError
from santacoder.model import SantaCoder
from santacoder.paths import user_path
from santacoder.tokenizer import Tokenizer
from train.embedded.recipe import MINI
from train.run.published_save import published_already

_PART_BYTES = 15_000_000
_PARTS, _DESCRIPTION = "part-*.safetensors", "run.json"


def require_room(model: SantaCoder, folder: Path) -> None:
    """Check that the weights of ``model`` can be written to ``folder``, before they are trained.

    Raises:
        UserError: there is not enough space.
        OSError: nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        needed = sum(2 * weight.numel() for weight in model.parameters())
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has room for {free / 1e6:,.0f} MB, but the weights take {needed / 1e6:,.0f} MB: make room, or "
            "name another folder."
        )


def write_result(model: SantaCoder, tokenizer: Tokenizer, folder: Path, run: dict[str, Any]) -> None:
    """Write the weights in bf16 as ``part-N.safetensors``, ``tokenizer.json``, and at last ``run.json``, in place of an
    earlier result. Only a whole result has a ``run.json``.

    Raises:
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in (folder / _DESCRIPTION, *folder.glob(_PARTS)):
        old.unlink(missing_ok=True)
    weights = {name: weight.detach().to("cpu", torch.bfloat16) for name, weight in model.named_parameters()}
    try:
        for number, part in enumerate(_parts(weights)):
            save_file(part, folder / _PARTS.replace("*", str(number)))
    except SafetensorError as error:  # the library reports failed writes this way
        raise OSError(str(error)) from error
    tokenizer.save(folder / "tokenizer.json")
    describe(model, folder, run)


def describe(model: SantaCoder, folder: Path, run: dict[str, Any]) -> None:
    """Write ``run.json``: the model's shape, the digests of the other files, and ``run``."""
    with replacing(folder / _DESCRIPTION) as file:
        document = {"model": asdict(model.config), "files": _digests(folder), **run}
        file.write(json.dumps(document, indent=1).encode())


def publish(folder: Path, store: Path) -> str:
    """Publish the weights in ``folder`` as a commit of mini, unless its newest commit has them. Returns its sha.

    Raises:
        UserError: a file is missing or damaged, or belongs to another result.
        OSError: the disk is full.
    """
    try:
        run = json.loads((folder / _DESCRIPTION).read_text())
        if _digests(folder) != run["files"]:
            raise UserError(f"its files are not those that {_DESCRIPTION} describes; train again.")
        model = SantaCoder(SantaCoderConfig(**run["model"]))
        weights: dict[str, Tensor] = {}
        for part in sorted(folder.glob(_PARTS)):
            weights |= load_file(part)
        model.load_state_dict(weights)
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
        found = {key: run[key] for key in ("step", "tokens", "validation_loss", "metrics")}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, CheckpointError) as error:
        raise UserError(f"{folder} does not hold a whole model: {error}") from error
    published = published_already(model, found["step"], MINI, "main", store)
    return published or checkpoints.publish(model, tokenizer, MINI, store=store, **found)


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a result but its description, by name."""
    files = [*folder.glob(_PARTS), folder / "tokenizer.json"]
    return {file.name: sha256(file).hex() for file in files}


def _parts(weights: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    part: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if part and sum(map(_n_bytes, part.values())) + _n_bytes(weight) > _PART_BYTES:
            yield part
            part = {}
        part[name] = weight
    yield part


def _n_bytes(weight: Tensor) -> int:
    return weight.numel() * weight.element_size()


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 2 if the folder does not hold a whole model or cannot be published."""
    parser = argparse.ArgumentParser(prog="python -m train.embedded.parts", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=user_path, help="folder of the weights")
    parser.add_argument("--store", type=user_path, default=Path("runs/embedded/store"), help="(default: %(default)s)")
    args = parser.parse_args(arguments)
    try:
        print(f"{MINI}@{publish(args.folder, args.store)}")
    except (UserError, CheckpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
