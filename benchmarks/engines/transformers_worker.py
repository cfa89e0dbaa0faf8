"""transformers, used as in its documentation."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM

from benchmarks.engines.worker import run


class TransformersEngine:
    def __init__(self, variant: str, paths: dict[str, str]) -> None:
        mode, precision = variant.split("-")
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self._model = AutoModelForCausalLM.from_pretrained(paths["snapshot"], dtype=dtype).eval()
        if mode == "compiled":
            self._model.forward = torch.compile(self._model.forward, dynamic=True)
        self.n_positions = self._model.config.n_positions

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], max_new_tokens: int) -> None:
        input_ids = torch.tensor(prompts)
        self._model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            max_new_tokens=max_new_tokens,
            min_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=0,
        )


if __name__ == "__main__":
    run(TransformersEngine)
