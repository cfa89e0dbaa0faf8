"""The ``README.md`` of a published commit."""

from __future__ import annotations

import dataclasses
from itertools import groupby

from train.config import TrainConfig
from train.data.pack import Package, PackedData
from train.loop import Trained


def model_card(repo_id: str, config: TrainConfig, trained: Trained, data: PackedData) -> str:
    """What the model is, what it learned from and under which licences, how it was trained, what it cannot do."""
    parameters = sum(parameter.numel() for parameter in trained.model.parameters())
    held_out = [package for package in data.packages if package.split == "validation"]
    settings = "\n".join(f"| {key} | {value} |" for key, value in dataclasses.asdict(config).items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [code, fill-in-the-middle]
---
# {repo_id}

A code completion model of {parameters / 1e6:.1f} M parameters with the SantaCoder architecture: GPT-2 with
{"multi-query" if config.multi_query else "multi-head"} attention, {data.tokenizer.vocab_size:,} byte-level tokens,
{config.sequence_length} positions, trained for completion and fill-in-the-middle.

Validation loss on the held-out packages: {trained.validation_loss:.4f} nats per token.

## Limits
A model of this size writes plausible-looking lines, not correct programs. It may repeat code from its training
files word for word; their licences are listed below. Run nothing it writes without reading it.

## Training
{trained.tokens:,} tokens with fill-in-the-middle at rate {config.fim_rate} (of those, {config.spm_rate} in SPM order).

| setting | value |
|---|---|
{settings}

## Data
{_table([package for package in data.packages if package.split == "train"])}

Held out: {", ".join(sorted(f"{package.name} {package.version}".strip() for package in held_out))}.
"""


def _table(packages: list[Package]) -> str:
    """Packages with version, licence and size; a collection's modules (``stdlib/json`` …) share a row."""
    rows = ["| package | version | licence | files | MB |", "|---|---|---|---|---|"]

    def collection(package: Package) -> str:
        return package.name.split("/")[0]

    for name, group in groupby(sorted(packages, key=collection), key=collection):
        members = list(group)
        files, megabytes = sum(p.files for p in members), sum(p.bytes for p in members) / 1e6
        rows.append(f"| {name} | {members[0].version} | {members[0].licence} | {files} | {megabytes:.1f} |")
    return "\n".join(rows)
