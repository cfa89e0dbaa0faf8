"""The model card (``README.md``) of a published commit, and the curves that it shows."""

from __future__ import annotations

import dataclasses
import json
from itertools import groupby

from santacoder.checkpoints import CURVES_FILE
from train.config import TrainConfig
from train.data.pack import Package, PackedData
from train.json_lines import read_json_lines
from train.loop import Trained
from train.publish.curves import drawing, points
from train.run.folder import RunFolder

_SCORES = {
    "validation_loss": "validation loss, nats per token",
    "bits_per_byte": "bits per byte",
    "fim_exact_match": "exact match, single-line infilling, greedy",
}
_CURVES = ("loss", "learning_rate", *_SCORES)


def model_card(repo_id: str, config: TrainConfig, trained: Trained, data: PackedData, run: RunFolder) -> dict[str, str]:
    """Write the model card: ``README.md``, its plots and, in ``curves.json``, the data of the plots, by file name.

    The card describes the model, its training data and their licences, how it was trained, its scores and its limits.
    """
    assert trained.model is not None
    parameters = sum(parameter.numel() for parameter in trained.model.parameters())
    held_out = [package for package in data.packages if package.split == "validation"]
    settings = "\n".join(f"| {key} | {value} |" for key, value in dataclasses.asdict(config).items())
    scores = "\n".join(f"| {_SCORES[name]} | {value:.4f} |" for name, value in trained.metrics.items())
    origin = f"fine-tuned from {config.base}" if config.base else "trained from scratch"
    card = f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [code, fill-in-the-middle]
---
# {repo_id}

A code completion model of {parameters / 1e6:.1f} M parameters with the SantaCoder architecture: GPT-2 with
{"multi-query" if config.multi_query else "multi-head"} attention, {data.tokenizer.vocab_size:,} byte-level tokens,
{trained.model.config.n_positions} positions, {origin}.

| on the held-out packages | |
|---|---|
{scores}

## Limits
A model of this size writes plausible-looking lines, not correct programs. It may reproduce code from its training
files word for word; their licences are listed below. Read what it writes before you run it.

## Licence
Code that it reproduces from a training file is under the licence of that file.

## Training
{trained.tokens:,} tokens in {trained.step:,} steps, with fill-in-the-middle at rate {config.fim_rate} (of those,
{config.spm_rate} in SPM order).

![loss](loss.svg) ![validation loss](validation_loss.svg) ![learning rate](learning_rate.svg)

| setting | value |
|---|---|
{settings}

## Data
{f"The training data of {config.base}, listed in its card, and:" if config.base else ""}

{_table([package for package in data.packages if package.split == "train"])}

Held out: {", ".join(sorted(f"{package.name} {package.version}".strip() for package in held_out))}.
"""
    records = read_json_lines(run.metrics)
    curves = {name: points(name, records) for name in _CURVES}
    drawings = {f"{name}.svg": drawing(name, curves[name]) for name in ("loss", "validation_loss", "learning_rate")}
    return {"README.md": card, CURVES_FILE: json.dumps(curves) + "\n", **drawings}


def _table(packages: list[Package]) -> str:
    """Table of packages with version, licence and size; those of a collection (``stdlib/json`` …) that have the same
    version and licence share a row.
    """
    rows = ["| package | version | licence | files | MB |", "|---|---|---|---|---|"]

    def shared(package: Package) -> tuple[str, str, str]:
        return package.name.split("/")[0], package.version, package.licence

    for (collection, version, licence), group in groupby(sorted(packages, key=shared), key=shared):
        members = list(group)
        name = members[0].name if len(members) == 1 else collection
        files, megabytes = sum(p.files for p in members), sum(p.bytes for p in members) / 1e6
        rows.append(f"| {name} | {version} | {licence} | {files} | {megabytes:.1f} |")
    return "\n".join(rows)
