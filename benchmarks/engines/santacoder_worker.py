"""This project's engine, with either runner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.engines.worker import run
from santacoder import checkpoints
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.runner import Runner, Step
from santacoder.engine.scheduler import PROMPT_CHUNK
from santacoder.engine.torch_runner import TorchRunner


class SantaCoderEngine:
    """The steps of the engine's thread without its queue, which would also draft tokens for the repetitions of a random
    model.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.n_positions = runner.n_positions

    def generate(self, prompts: list[list[int]], max_new_tokens: int) -> None:
        steps = []
        for slot, prompt in enumerate(prompts):
            for start in range(0, len(prompt), PROMPT_CHUNK):
                logits = self._runner.prefill(slot, prompt[start : start + PROMPT_CHUNK], start, 1)
            steps.append(Step(slot, int(logits[0].argmax()), len(prompt)))
        for _ in range(max_new_tokens - 1):
            chosen = np.argmax(self._runner.decode(steps), axis=-1)
            steps = [Step(step.slot, int(token), step.position + 1) for step, token in zip(steps, chosen, strict=True)]


def make_engine(variant: str, paths: dict[str, str]) -> SantaCoderEngine:
    name, precision = variant.split("-")
    snapshot = Path(paths["snapshot"])
    if name == "torch":
        return SantaCoderEngine(TorchRunner(checkpoints.load(snapshot, dtype=torch.float32)[0]))
    graph = Path(paths["onnx"]) / graph_name(precision)
    return SantaCoderEngine(OnnxRunner(graph, checkpoints.read_config(snapshot)))


if __name__ == "__main__":
    run(make_engine)
