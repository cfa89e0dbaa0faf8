"""How fast samples are generated, beside a loop over transformers' ``generate`` with the same batch size.

    python -m benchmarks.generation [--model santacoder/mini] [--tasks N] [--samples N]

Each task's samples are one batch for transformers; the engine is given all of them. Both draw at temperature 0.8, top-p
0.95, at most 128 tokens, until end-of-text. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from santacoder import checkpoints
from santacoder.engine.opening import RunnerChoice, open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from train.evaluate.generate import complete

NEW_TOKENS = 128


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="santacoder/mini", help="in the store (default: santacoder/mini)")
    parser.add_argument("--tasks", type=int, default=8, help="prompts (default: 8)")
    parser.add_argument("--samples", type=int, default=20, help="of each, the batch size (default: 20)")
    args = parser.parse_args()
    prompts = _prompts(args.tasks)
    results = {
        "generate": _peer(args.model, prompts, args.samples),
        "engine, torch": _engine(args.model, "torch", prompts, args.samples),
        "engine, onnx": _engine(args.model, "onnx", prompts, args.samples),
    }
    print("| | tokens | seconds | tokens per second | ratio |\n|---|---|---|---|---|")
    for name, one in results.items():
        one["ratio"] = one["tokens_per_second"] / results["generate"]["tokens_per_second"]
        cells = f"{one['tokens']:.0f} | {one['seconds']:.1f} | {one['tokens_per_second']:.0f} | {one['ratio']:.2f}"
        print(f"| {name} | {cells} |")
    print(json.dumps(results))


def _engine(model: str, runner: RunnerChoice, prompts: list[str], n_samples: int) -> dict[str, float]:
    engine, _ = open_engine(checkpoints.resolve(model), device="cpu", runner=runner, n_slots=n_samples)
    tokenizer = engine.tokenizer
    requests = [
        (
            (index, number),
            CompletionRequest(
                prompt, None, SamplingParams(NEW_TOKENS, 0.8, top_p=0.95, seed=index * n_samples + number)
            ),
        )
        for index, prompt in enumerate(prompts)
        for number in range(n_samples)
    ]
    list(complete(engine, requests[:2]))
    started = time.perf_counter()
    texts = [text for _, text in complete(engine, requests)]
    seconds = time.perf_counter() - started
    engine.close()
    return _described(sum(len(tokenizer.encode(text)) for text in texts), seconds)


def _peer(model: str, prompts: list[str], n_samples: int) -> dict[str, float]:
    """``generate`` from the same files, in single precision as the engine, one batch a task."""
    snapshot = checkpoints.resolve(model)
    tokenizer = Tokenizer.load(snapshot / "tokenizer.json")
    twin = AutoModelForCausalLM.from_pretrained(snapshot, dtype=torch.float32).eval()
    torch.manual_seed(0)
    _generate(twin, tokenizer, prompts[0], 1)
    started = time.perf_counter()
    texts = [text for prompt in prompts for text in _generate(twin, tokenizer, prompt, n_samples)]
    return _described(sum(len(tokenizer.encode(text)) for text in texts), time.perf_counter() - started)


@torch.inference_mode()
def _generate(model: Any, tokenizer: Tokenizer, prompt: str, n_samples: int) -> list[str]:
    """Texts up to end-of-text, without marks, as the engine writes them."""
    ids = torch.tensor([tokenizer.encode(prompt)])
    written = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        top_k=0,
        num_return_sequences=n_samples,
        max_new_tokens=NEW_TOKENS,
        pad_token_id=tokenizer.end_of_text_id,
        eos_token_id=tokenizer.end_of_text_id,
        suppress_tokens=sorted(tokenizer.fim_ids),
    )[:, ids.shape[1] :].tolist()
    end = tokenizer.end_of_text_id
    return [tokenizer.decode(row[: row.index(end) if end in row else None]) for row in written]


def _prompts(count: int) -> list[str]:
    """Beginnings of the project's own files, some 100 to 300 tokens each."""
    files = sorted(Path(__file__).parent.parent.glob("santacoder/**/*.py"))
    texts = [path.read_text() for path in files]
    return [text[: min(900, len(text) // 2)].rstrip() for text in texts if len(text) > 800][:count]


def _described(tokens: int, seconds: float) -> dict[str, float]:
    return {"tokens": tokens, "seconds": round(seconds, 2), "tokens_per_second": round(tokens / seconds, 1)}


if __name__ == "__main__":
    main()
