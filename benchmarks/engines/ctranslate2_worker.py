"""CTranslate2, with all cores for one batch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import ctranslate2

from benchmarks.engines.worker import run


class CTranslate2Engine:
    def __init__(self, variant: str, paths: dict[str, str]) -> None:
        folder = Path(paths[f"ct2-{variant}"])
        compute_type = {"fp32": "float32", "int8": "int8"}[variant]
        self._generator = ctranslate2.Generator(str(folder), compute_type=compute_type, intra_threads=os.cpu_count())
        self._vocabulary = json.loads((folder / "vocabulary.json").read_text())
        self.n_positions = json.loads((Path(paths["snapshot"]) / "config.json").read_text())["n_positions"]

    def generate(self, prompts: list[list[int]], max_new_tokens: int) -> None:
        self._generator.generate_batch(
            [[self._vocabulary[token_id] for token_id in prompt] for prompt in prompts],
            max_length=max_new_tokens,
            min_length=max_new_tokens,
            sampling_topk=1,
            include_prompt_in_result=False,
        )


if __name__ == "__main__":
    run(CTranslate2Engine)
