"""Learning rates, second moment and cooldown, compared after equally many steps of a small model.

    python -m benchmarks.learning_rates --downloads corpus

Each setting trains a model of 3 layers and a width of 128 from the same initial weights on the same 150 batches of
2,048 tokens, from a dozen packages in the three languages, and is evaluated on three other packages. A setting differs
from ``half-life 4 M`` as its name says. Core seconds are those of one thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from santacoder import checkpoints
from santacoder.fim import FimTransform
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from train.config import TrainConfig
from train.core.batches import Batches
from train.core.loss import next_token_loss
from train.core.step import prepare, training_step
from train.data.archives import read_archive
from train.data.packages import DEFAULT_MANIFEST, download, downloaded_path, read_manifest
from train.data.source_file import SourceFile
from train.loop import ALONE

_LEARNED = {
    "more-itertools", "boltons", "networkx", "toolz", "pydash", "cachetools", "commons-io", "commons-csv",
    "libcommons-lang3-java", "lodash", "underscore", "ramda", "@stdlib/string", "@stdlib/utils",
}  # fmt: skip
_HELD_OUT = {"click", "jsoup", "koa"}
_BASE = TrainConfig(
    n_layer=3, n_embd=128, n_head=2, sequence_length=256, batch_size=8, schedule="wsd", warmup_fraction=0.05,
    learning_rate=4e-3, beta2_half_life=4e6, line_rate=0.4, precision="fp32",
)  # fmt: skip
_SETTINGS: dict[str, dict[str, Any]] = {
    "half-life 4 M": {},
    "beta2 0.95": {"beta2_half_life": 0.0},
    "all rates 2e-3": {"learning_rate": 2e-3},
    "all rates 8e-3": {"learning_rate": 8e-3},
    "embeddings x 0.4": {"embedding_learning_rate": 1.6e-3},
    "embeddings x 2.5": {"embedding_learning_rate": 1e-2},
    "vectors x 0.4": {"vector_learning_rate": 1.6e-3},
    "cooldown linear": {"cooldown_shape": "linear"},
    "cooldown square": {"cooldown_shape": "square"},
    "weight decay 0.01": {"weight_decay": 0.01},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_rates", description=__doc__)
    parser.add_argument("--downloads", type=Path, default=Path("corpus"), help="folder of the packages (%(default)s)")
    parser.add_argument("--steps", type=int, default=150, help="steps per setting (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = checkpoints.read_tokenizer(checkpoints.resolve("santacoder/mini"))
    learned, held_out = (_tokens(names, tokenizer, args.downloads) for names in (_LEARNED, _HELD_OUT))
    print("| setting | held-out nats per token | core seconds |\n|---|---|---|")
    for name, changes in _SETTINGS.items():
        config = dataclasses.replace(_BASE, steps=args.steps, **changes)
        loss, seconds = _trained(config, tokenizer, learned, held_out)
        print(f"| {name} | {loss:.3f} | {seconds:.0f} |", flush=True)


def _trained(
    config: TrainConfig, tokenizer: Tokenizer, learned: np.ndarray, held_out: np.ndarray
) -> tuple[float, float]:
    """The held-out loss, and the processor time of the steps."""
    torch.manual_seed(0)
    model = SantaCoder(config.model_config(tokenizer.vocab_size)).train()
    training = prepare(model, config, ALONE)
    fim = FimTransform(tokenizer, config.fim_rate, config.spm_rate, config.line_rate)
    batches = Batches(learned, config.sequence_length, config.batch_size, 0, fim)
    started = time.process_time()
    for step in range(config.steps):
        training_step(training, batches.at(step), step, config, ALONE)
    seconds = time.process_time() - started
    length = config.sequence_length
    rows = torch.from_numpy(held_out[: (len(held_out) - 1) // length * length + 1])
    inputs, targets = rows[:-1].view(-1, length), rows[1:].view(-1, length)
    with torch.no_grad():
        losses = [
            next_token_loss(model.transformer(x), model.output_weight, y).item() * len(x)
            for x, y in zip(inputs.split(16), targets.split(16), strict=True)
        ]
    return sum(losses) / len(inputs), seconds


def _tokens(names: set[str], tokenizer: Tokenizer, downloads: Path) -> np.ndarray:
    """The shuffled files of the packages ``names`` as tokens, with at most 2 M characters per language."""
    packages, _ = download([package for package in read_manifest(DEFAULT_MANIFEST) if package.name in names], downloads)
    texts: dict[str, list[str]] = {}
    for package in packages:
        archive = downloaded_path(package, downloads)
        for file in read_archive(archive, package=package.name, version="", licence="", stars=0):
            if isinstance(file, SourceFile) and len(file.text) < 30_000:
                texts.setdefault(file.language, []).append(file.text)
    draw = np.random.default_rng(0)
    chosen: list[str] = []
    for _, of_language in sorted(texts.items()):
        order = draw.permutation(len(of_language))
        size = np.cumsum([len(of_language[index]) for index in order])
        chosen += [of_language[index] for index in order[size < 2_000_000]]
    draw.shuffle(chosen)
    ids = tokenizer.encode_batch(chosen)
    return np.array([token for text in ids for token in (*text, tokenizer.end_of_text_id)], dtype=np.int64)


if __name__ == "__main__":
    main()
