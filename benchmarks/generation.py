"""Generation speed compared with a loop over transformers' ``generate`` with the same batch size.

    python -m benchmarks.generation [--model santacoder/mini] [--tasks N] [--samples N]

For transformers, the samples of each task are one batch; the engine gets all samples at once. Both sample at
temperature 0.8 and top-p 0.95, with two workloads: 128 tokens per sample, and HumanEval as in ``train.evaluate``, with
up to 512 tokens until a stop sequence (if the benchmark's data is available; ``generate`` also gets the stop
sequences). The tokens of the final texts are counted. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from santacoder import checkpoints
from santacoder.engine.loader import RunnerChoice, open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from train.evaluate.generate import complete
from train.evaluate.tasks.data import DataUnavailable, default_folder
from train.evaluate.tasks.programming import first, human_eval


@dataclass(frozen=True)
class Workload:
    """A set of prompts and the limits of their samples."""

    name: str
    prompts: list[str]
    max_new_tokens: int
    stop: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="santacoder/mini", help="model in the store (default: santacoder/mini)")
    parser.add_argument("--tasks", type=int, default=4, help="number of prompts (default: 4)")
    parser.add_argument(
        "--samples", type=int, default=20, help="samples per prompt, which is the batch size (default: 20)"
    )
    args = parser.parse_args()
    workloads = [Workload("128 tokens", _files(args.tasks), 128), *_human_eval(args.tasks)]
    results = {
        "generate": _peer(args.model, workloads, args.samples),
        "engine, torch": _engine(args.model, "torch", workloads, args.samples),
        "engine, onnx": _engine(args.model, "onnx", workloads, args.samples),
    }
    print("| | | tokens | seconds | tokens per second | ratio |\n|---|---|---|---|---|---|")
    for workload in workloads:
        for name, by_workload in results.items():
            one = by_workload[workload.name]
            one["ratio"] = one["tokens_per_second"] / results["generate"][workload.name]["tokens_per_second"]
            cells = f"{one['tokens']:.0f} | {one['seconds']:.1f} | {one['tokens_per_second']:.0f} | {one['ratio']:.2f}"
            print(f"| {workload.name} | {name} | {cells} |")
    print(json.dumps(results))


def _engine(model: str, runner: RunnerChoice, workloads: list[Workload], n_samples: int) -> dict[str, dict[str, float]]:
    engine, _ = open_engine(checkpoints.resolve(model), device="cpu", runner=runner, n_slots=n_samples)
    results = {}
    for workload in workloads:
        requests = [
            (seed, CompletionRequest(prompt, None, _sampling(workload, seed)))
            for index, prompt in enumerate(workload.prompts)
            for seed in range(index * n_samples, (index + 1) * n_samples)
        ]
        list(complete(engine, requests[:2]))
        started = time.perf_counter()
        texts = [text for _, text in complete(engine, requests)]
        results[workload.name] = _described(texts, engine.tokenizer, time.perf_counter() - started)
    engine.close()
    return results


def _sampling(workload: Workload, seed: int) -> SamplingParams:
    return SamplingParams(workload.max_new_tokens, 0.8, top_p=0.95, seed=seed, stop=workload.stop)


def _peer(model: str, workloads: list[Workload], n_samples: int) -> dict[str, dict[str, float]]:
    """``generate`` with the same weights in single precision, one batch per task."""
    snapshot = checkpoints.resolve(model)
    tokenizer = Tokenizer.load(snapshot / "tokenizer.json")
    twin = AutoModelForCausalLM.from_pretrained(snapshot, dtype=torch.float32).eval()
    fast_tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(snapshot / "tokenizer.json"))
    torch.manual_seed(0)
    results = {}
    for workload in workloads:

        def generate(prompt: str, count: int, workload: Workload = workload) -> list[str]:
            stopping = {"stop_strings": list(workload.stop), "tokenizer": fast_tokenizer} if workload.stop else {}
            rows = _generate(twin, tokenizer, prompt, count, workload.max_new_tokens, stopping)
            return [_before(row, workload.stop) for row in rows]

        generate(workload.prompts[0], 1)
        started = time.perf_counter()
        texts = [text for prompt in workload.prompts for text in generate(prompt, n_samples)]
        results[workload.name] = _described(texts, tokenizer, time.perf_counter() - started)
    return results


@torch.inference_mode()
def _generate(
    model: Any, tokenizer: Tokenizer, prompt: str, n_samples: int, max_new_tokens: int, stopping: dict[str, Any]
) -> list[str]:
    """Texts up to end-of-text, without FIM sentinels, like the engine's."""
    ids = torch.tensor([tokenizer.encode(prompt)])
    written = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        top_k=0,
        num_return_sequences=n_samples,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.end_of_text_id,
        eos_token_id=tokenizer.end_of_text_id,
        suppress_tokens=sorted(tokenizer.fim_ids),
        **stopping,
    )[:, ids.shape[1] :].tolist()
    end = tokenizer.end_of_text_id
    return [tokenizer.decode(row[: row.index(end) if end in row else None]) for row in written]


def _before(text: str, stop: tuple[str, ...]) -> str:
    return text[: min((place for one in stop if (place := text.find(one)) >= 0), default=None)]


def _files(count: int) -> list[str]:
    """Beginnings of the project's own files, about 100 to 300 tokens each."""
    files = sorted(Path(__file__).parent.parent.glob("santacoder/**/*.py"))
    texts = [path.read_text() for path in files]
    return [text[: min(900, len(text) // 2)].rstrip() for text in texts if len(text) > 800][:count]


def _human_eval(count: int) -> list[Workload]:
    try:
        tasks = first(human_eval(default_folder()), count)
    except DataUnavailable as error:
        print(f"HumanEval is skipped: {error}")
        return []
    return [Workload("HumanEval", [task.prompt for task in tasks], 512, tasks[0].stop)]


def _described(texts: list[str], tokenizer: Tokenizer, seconds: float) -> dict[str, float]:
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    return {"tokens": tokens, "seconds": round(seconds, 2), "tokens_per_second": round(tokens / seconds, 1)}


if __name__ == "__main__":
    main()
