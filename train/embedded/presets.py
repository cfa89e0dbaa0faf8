"""How much of everything: what two cores can do in an evening, and what a GPU can."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Packages that no model learns from. The Python ones are also among those that mini's first part holds out.
HELD_OUT = (
    "Jinja2", "attrs", "gunicorn", "peewee", "typer", "websockets",
    "libcommons-codec-java",
    "async", "backbone", "ejs", "express", "handlebars", "jquery", "karma", "pg", "postcss", "sequelize", "ws",
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """``nano``, ``mini_phases`` and ``mini_first`` are settings of ``python -m train``.

    ``nano`` is the budget of one branch, of which ``final`` has twice. ``mini_phases`` are runs on the three languages
    by name, each of which goes on from the one before, and the first from ``mini_first``, on Python alone, if there is
    one. ``nano_sample`` and ``mini_sample`` are the shares of the corpus that are read, ``nano_tasks`` and
    ``mini_tasks`` how many lines of each language a branch has to fill in, ``dollars_per_hour`` what such a machine is
    rented for.
    """

    device: str
    nano_sample: float
    mini_sample: float
    nano: dict[str, Any]
    nano_vocab_size: int
    nano_tasks: int
    mini_phases: dict[str, dict[str, Any]]
    mini_vocab_size: int
    mini_tasks: int
    held_out_megabytes: float
    dollars_per_hour: float
    mini_first: dict[str, Any] = field(default_factory=dict)


# Mini is there to be used, and most gaps in an editor are single lines. Nano repeats the paper, which cuts anywhere.
_FOR_EDITORS = {"fim_rate": 0.7, "line_rate": 0.8}
_NANO = {
    "n_layer": 2, "n_embd": 128, "n_head": 2, "sequence_length": 512, "learning_rate": 8e-3, "schedule": "wsd",
    "fim_questions": 0,
}  # fmt: skip
_MINI_ON_CPU = {
    "sequence_length": 1024, "optimizer": "muon", "schedule": "wsd", "validate_every": 300, "fim_questions": 64,
    "save_every": 100,
}  # fmt: skip

PRESETS = {
    # two cores: 6.5 M parameters, 40 M tokens of Python, then the three languages
    "cpu": Preset(
        device="cpu",
        nano_sample=0.06,
        mini_sample=0.25,
        nano={**_NANO, "batch_size": 8, "steps": 300, "validation_batches": 4},
        nano_vocab_size=4096,
        nano_tasks=100,
        mini_first={
            "n_layer": 6, "n_embd": 256, "n_head": 4, "sequence_length": 1024, "batch_size": 6, "steps": 6500,
            "optimizer": "muon", "learning_rate": 4e-3, "precision": "bf16", "validate_every": 500,
        },
        mini_phases={
            "main": {**_MINI_ON_CPU, "batch_size": 4, "steps": 2100, "learning_rate": 2e-3, **_FOR_EDITORS},
            "lines": {
                **_MINI_ON_CPU, "batch_size": 8, "steps": 1100, "learning_rate": 1.5e-3, "seed": 1,
                "fim_rate": 0.8, "line_rate": 1.0, "spm_rate": 0.2,
            },
        },
        mini_vocab_size=8192,
        mini_tasks=5000,
        held_out_megabytes=0.1,
        dollars_per_hour=0.1,
    ),
    # one GPU of the H100's class: a mini of 38 M parameters from scratch, 2.5 B tokens; not run yet
    "gpu": Preset(
        device="cuda",
        nano_sample=1.0,
        mini_sample=1.0,
        nano={**_NANO, "batch_size": 64, "steps": 3000},
        nano_vocab_size=4096,
        nano_tasks=1000,
        mini_phases={
            "main": {
                "n_layer": 12, "n_embd": 448, "n_head": 7, "sequence_length": 2048, "batch_size": 64, "steps": 19_000,
                "optimizer": "muon", "learning_rate": 3e-3, "schedule": "wsd", **_FOR_EDITORS, "compile": True,
                "validate_every": 500, "save_every": 500,
            }
        },
        mini_vocab_size=16_384,
        mini_tasks=5000,
        held_out_megabytes=10,
        dollars_per_hour=3.0,
    ),
}  # fmt: skip
