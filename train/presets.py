"""Presets: model sizes for training from scratch, and settings for fine-tuning."""

from __future__ import annotations

from typing import Any

SIZES: dict[str, dict[str, Any]] = {
    # 5 M parameters with 4,096 tokens
    "nano": {},
    # 20 M with 16,384 tokens
    "mini": {
        "n_layer": 9, "n_embd": 384, "n_head": 6, "sequence_length": 1024, "batch_size": 32, "steps": 10_000,
        "learning_rate": 3e-3,
    },
    # 99 M with 32,768 tokens
    "base": {
        "n_layer": 12, "n_embd": 768, "n_head": 12, "sequence_length": 2048, "batch_size": 128, "steps": 20_000,
        "learning_rate": 1.5e-3, "validate_every": 500, "save_every": 500,
    },
    # 1.1 B with 49,152 tokens: the paper's model (arXiv 2301.03988, section 5), trained on 118 B tokens.
    # The paper trained in fp16 on V100s; bf16 needs no loss scaling.
    "1b": {
        "n_layer": 24, "n_embd": 2048, "n_head": 16, "sequence_length": 2048, "batch_size": 192, "steps": 300_000,
        "learning_rate": 2e-4, "dropout": 0.1, "optimizer": "adamw", "validate_every": 2000, "save_every": 1000,
    },
}  # fmt: skip

FINE_TUNING: dict[str, Any] = {
    "steps": 200, "sequence_length": 512, "batch_size": 4, "learning_rate": 1e-3, "warmup_fraction": 0.05,
    "validate_every": 50, "save_every": 50,
}  # fmt: skip
# low-rank updates need a tenfold learning rate (Hu et al., arXiv 2106.09685, table 11)
LORA: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 2e-3}
