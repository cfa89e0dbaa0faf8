"""The budgets of the embedded models: what two CPU cores can train in some days, and what a GPU can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# packages that no model is trained on
HELD_OUT = (
    "Jinja2", "attrs", "gunicorn", "peewee", "typer", "websockets",
    "libcommons-codec-java",
    "async", "backbone", "ejs", "express", "handlebars", "jquery", "karma", "pg", "postcss", "sequelize", "ws",
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """The sizes and budgets of one recipe.

    Args:
        device: where to train.
        nano_sample: fraction of the corpus that the nano models use.
        mini_sample: fraction of the corpus that mini uses.
        nano: settings of ``python -m train`` for one branch of nano; ``final`` gets twice the steps.
        nano_vocab_size: vocabulary size of nano.
        nano_tasks: number of infilling tasks per language for nano.
        mini: settings for training mini from scratch on the whole corpus.
        mini_simple: settings for continuing mini on the files that suit small models.
        mini_minutes: how long mini is trained; 0 for its number of steps.
        mini_vocab_size: vocabulary size of mini.
        mini_tasks: number of infilling tasks per language for mini.
        held_out_megabytes: megabytes of held-out files per language for bits per byte.
        dollars_per_hour: the rent of such a machine.
    """

    device: str
    nano_sample: float
    mini_sample: float
    nano: dict[str, Any]
    nano_vocab_size: int
    nano_tasks: int
    mini: dict[str, Any]
    mini_simple: dict[str, Any]
    mini_minutes: float
    mini_vocab_size: int
    mini_tasks: int
    held_out_megabytes: float
    dollars_per_hour: float


_NANO = {
    "n_layer": 2, "n_embd": 128, "n_head": 2, "sequence_length": 512, "learning_rate": 8e-3, "schedule": "wsd",
    "fim_questions": 0,
}  # fmt: skip
# Nano repeats the paper, which chooses the middle at random. Mini is for use in editors, which request lines and
# incomplete syntax nodes, as often with the suffix first as not.
_MINI = {
    "optimizer": "muon", "schedule": "wsd", "beta2_half_life": 4e6, "balance_languages": True, "spm_rate": 0.5,
    "fim_questions": 64, "validate_every": 500, "warmup_fraction": 0.003,
}  # fmt: skip
_EVERYTHING = {"fim_rate": 0.9, "line_rate": 0.4, "node_rate": 0.4, "cooldown_fraction": 0.0}
_SIMPLE = {
    "fim_rate": 0.9, "line_rate": 0.5, "node_rate": 0.5, "cooldown_fraction": 1.0, "cooldown_shape": "linear",
    "seed": 1,
}  # fmt: skip
_MINI_ON_CPU = {
    **_MINI, "n_layer": 8, "n_embd": 320, "n_head": 5, "sequence_length": 1024, "batch_size": 8, "save_every": 5,
    "publish_every": 1500,
}  # fmt: skip
# from its peak, the learning rate falls to 0 in one line, across both phases
_FALLING = {"cooldown_fraction": 0.7, "cooldown_shape": "linear", "final_rate_fraction": 0.3}
_PEAK = {"learning_rate": 2e-3, "embedding_learning_rate": 4e-3, "vector_learning_rate": 4e-3}
_PEAK_OF_SIMPLE = {"learning_rate": 6e-4, "embedding_learning_rate": 1.2e-3, "vector_learning_rate": 1.2e-3}
_MINI_ON_GPU = {
    **_MINI, "n_layer": 12, "n_embd": 448, "n_head": 7, "sequence_length": 2048, "batch_size": 64,
    "learning_rate": 4e-3, "embedding_learning_rate": 8e-3, "vector_learning_rate": 8e-3, "compile": True,
}  # fmt: skip

PRESETS = {
    # two cores: 11.5 M parameters, 150 M tokens plus 50 M; 20 M per branch of nano
    "cpu": Preset(
        device="cpu",
        nano_sample=0.15,
        mini_sample=1.0,
        nano={**_NANO, "batch_size": 8, "steps": 4900, "validation_batches": 4},
        nano_vocab_size=4096,
        nano_tasks=100,
        mini={**_MINI_ON_CPU, **_PEAK, **_EVERYTHING, **_FALLING, "steps": 18_300},
        mini_simple={**_MINI_ON_CPU, **_PEAK_OF_SIMPLE, **_SIMPLE, "steps": 6100},
        mini_minutes=0,
        mini_vocab_size=8192,
        mini_tasks=5000,
        held_out_megabytes=0.1,
        dollars_per_hour=0.1,
    ),
    # one GPU like an H100: a mini of 29 M parameters from scratch in ten minutes; not run yet
    "gpu": Preset(
        device="cuda",
        nano_sample=1.0,
        mini_sample=1.0,
        nano={**_NANO, "batch_size": 64, "steps": 3000},
        nano_vocab_size=4096,
        nano_tasks=1000,
        mini={**_MINI_ON_GPU, **_EVERYTHING},
        mini_simple={**_MINI_ON_GPU, **_SIMPLE},
        mini_minutes=9,
        mini_vocab_size=8192,
        mini_tasks=5000,
        held_out_megabytes=10,
        dollars_per_hour=3.0,
    ),
}
