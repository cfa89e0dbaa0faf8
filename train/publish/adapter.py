"""A low-rank update as an adapter in the files of ``peft``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from santacoder.adapters import CONFIG_FILE, WEIGHTS_FILE
from santacoder.atomic import replacing
from train.model.lora import ALPHA_PER_RANK


def save_adapter(folder: Path, tensors: Mapping[str, Tensor], base: str) -> None:
    """Write ``tensors``, by peft's names, and their configuration; ``base`` is REPO@COMMIT.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    repo_id, _, commit = base.partition("@")
    rank = next(iter(tensors.values())).shape[0]
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": repo_id,
        "revision": commit,
        "r": rank,
        "lora_alpha": ALPHA_PER_RANK * rank,
        "lora_dropout": 0.0,
        "target_modules": sorted({name.split(".")[-3] for name in tensors}),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    with replacing(folder / WEIGHTS_FILE) as file:
        file.write(save(dict(tensors), metadata={"format": "pt"}))
    with replacing(folder / CONFIG_FILE) as file:
        file.write(json.dumps(config, indent=2).encode())
