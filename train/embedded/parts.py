"""Weights in files of limited size, and their publication.

    python -m train.embedded.parts FOLDER --store OUT/store

publishes what ``python -m train.embedded.timed`` has written to FOLDER as a commit of ``santacoder/mini``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError
from santacoder.model import SantaCoder
from santacoder.paths import user_path
from santacoder.tokenizer import Tokenizer
from train.embedded.recipe import MINI

_PART_BYTES = 15_000_000


def write_parts(model: SantaCoder, folder: Path, run: dict[str, Any]) -> None:
    """Write the weights in bf16 as ``part-N.safetensors``, and ``run.json`` with the model's shape and ``run``."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("part-*.safetensors"):
        old.unlink()
    weights = {name: weight.detach().to("cpu", torch.bfloat16) for name, weight in model.named_parameters()}
    for number, part in enumerate(_parts(weights)):
        save_file(part, folder / f"part-{number}.safetensors")
    (folder / "run.json").write_text(json.dumps({"model": asdict(model.config), **run}, indent=1))


def publish(folder: Path, store: Path) -> str:
    """Publish the weights in ``folder`` as a commit of mini. Returns its sha.

    Raises:
        UserError: a file is missing or damaged.
    """
    try:
        run = json.loads((folder / "run.json").read_text())
        model = SantaCoder(SantaCoderConfig(**run["model"]))
        weights: dict[str, Tensor] = {}
        for part in sorted(folder.glob("part-*.safetensors")):
            weights |= load_file(part)
        model.load_state_dict(weights)
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
        found = {key: run[key] for key in ("step", "tokens", "validation_loss", "metrics")}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder} does not hold a whole model: {error}") from error
    return checkpoints.publish(model, tokenizer, MINI, store=store, **found)


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
    """Run the command. Returns 0 on success, 2 if the folder does not hold a whole model."""
    parser = argparse.ArgumentParser(prog="python -m train.embedded.parts", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=user_path, help="folder of the weights")
    parser.add_argument("--store", type=user_path, default=Path("runs/embedded/store"), help="(default: %(default)s)")
    args = parser.parse_args(arguments)
    try:
        print(f"{MINI}@{publish(args.folder, args.store)}")
    except (UserError, checkpoints.CheckpointError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
