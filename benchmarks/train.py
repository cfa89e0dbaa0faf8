"""Training speed compared with transformers' Trainer, with the same shape, tokens, batch, precision and optimiser.

    python -m benchmarks.train                          # a small shape on the CPU
    python -m benchmarks.train --shape 1b --device cuda --compile --peak-tflops 989

The two alternate every ``--steps`` steps, and the first quartiles of their step times are compared: other load on the
machine affects both equally, and the faster steps least. Processor times are reported as well, which hardly depend on
other load; with OMP_NUM_THREADS=1 they measure only the work itself. Prints a table and, as the last line, JSON.

Model FLOPs per token are counted as in PaLM (arXiv 2204.02311, appendix B): 6 per parameter of the matrices, including
the output layer but not the embeddings, and 12 n_layer n_embd T for attention, without reductions for the causal mask
or additions for recomputation. MFU is that, times tokens per second, over ``--peak-tflops``, the dense peak of the
device at the precision (989 for an H100 SXM in bf16, 125 for a V100 in fp16).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from santacoder.fim import FimTransform
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from train.config import TrainConfig
from train.core.batches import Batches, prefetched
from train.core.distributed import World
from train.core.step import prepare, training_step
from train.data import sources
from train.data.local import LocalExecutor
from train.data.pack import load_packed, pack
from train.data.pipeline import Pipeline
from train.presets import SIZES
from train.variants import variant

SMALL = {"n_layer": 6, "n_embd": 256, "n_head": 4, "sequence_length": 512}
WARM_UP = 3


class _Seconds(NamedTuple):
    """Wall-clock and processor time."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> _Seconds:
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, earlier: _Seconds) -> _Seconds:
        return _Seconds(self.wall - earlier.wall, self.processor - earlier.processor)


@dataclass
class _Results:
    """The times of each step, and how long our trainer waited for data."""

    ours: list[_Seconds] = field(default_factory=list)
    trainer: list[_Seconds] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)


def main() -> None:
    args = _parser().parse_args()
    shape = SMALL if args.shape == "small" else SIZES[args.shape]
    config = TrainConfig(
        **{
            **{key: shape[key] for key in SMALL if key in shape},  # a size has no settings that are the default
            "batch_size": args.batch_size,
            "steps": 100_000,
            "optimizer": "adamw",
            "learning_rate": 1e-4,
            "precision": args.precision,
            "device": args.device,
            "compile": args.compile,
            "fim_rate": 0.0,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(sources.standard_library(), Path(folder) / "work", LocalExecutor())
        pack(pipeline.run(variant("fim"))[-1].shards, Path(folder), vocab_size=args.vocab_size)
        data = load_packed(Path(folder))
        fim = FimTransform(data.tokenizer, 0.0, 0.0)
        batches = Batches(data.train, config.sequence_length, config.batch_size, 0, fim)
        results = _take_turns(config, batches, data.tokenizer, args.steps, args.rounds)
    n_parameters, flops = _size(config, data.tokenizer.vocab_size)
    _report(args, config, n_parameters, flops, results)


def _take_turns(config: TrainConfig, batches: Batches, tokenizer: Tokenizer, steps: int, rounds: int) -> _Results:
    results = _Results()
    for number in tqdm(range(rounds), desc="rounds"):
        ours, waiting = _ours(config, batches, tokenizer, range(number * steps, (number + 1) * steps))
        results.ours.extend(ours)
        results.waiting.extend(waiting)
        results.trainer.extend(_transformers(config, batches, tokenizer, steps))
    return results


def _ours(
    config: TrainConfig, batches: Batches, tokenizer: Tokenizer, steps: range
) -> tuple[list[_Seconds], list[float]]:
    world = World(0, 1, torch.device(config.device))
    torch.manual_seed(0)
    training = prepare(SantaCoder(config.model_config(tokenizer.vocab_size)).train(), config, world)
    loader = iter(prefetched(batches, steps, world.rows(config.batch_size), workers=1, pin_memory=False))
    seconds, waiting = [], []
    for step in steps:
        started = _Seconds.now()
        batch = next(loader)
        waiting.append((_Seconds.now() - started).wall)
        training_step(training, batch, step, config, world)  # ends with the loss on the CPU, so the work is done
        seconds.append(_Seconds.now() - started)
    return seconds[WARM_UP:], waiting[WARM_UP:]


def _transformers(config: TrainConfig, batches: Batches, tokenizer: Tokenizer, steps: int) -> list[_Seconds]:
    """Trainer with its fastest settings: SDPA attention, fused AdamW, one worker, no evaluation or saving."""
    shape = config.model_config(tokenizer.vocab_size)
    torch.manual_seed(0)
    document = shape.to_transformers(eos_token_id=tokenizer.end_of_text_id, dtype="float32")
    twin = GPTBigCodeConfig(**{**document, "use_cache": False})
    twin._attn_implementation = "sdpa"
    timer = _Timer()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=config.batch_size,
            max_steps=steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            adam_beta2=config.beta2,
            max_grad_norm=config.gradient_clip,
            bf16=config.precision == "bf16",
            fp16=config.precision == "fp16",
            optim="adamw_torch_fused",
            torch_compile=config.compile,
            use_cpu=config.device == "cpu",
            dataloader_num_workers=1,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to=[],
            logging_steps=1,  # like ours, which reads the loss of each step
            disable_tqdm=True,
        )
        trainer = Trainer(GPTBigCodeForCausalLM(twin), arguments, train_dataset=_Windows(batches), callbacks=[timer])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return timer.seconds[WARM_UP:]


class _Windows(Dataset):
    """The same windows one at a time; Trainer's model shifts its labels itself."""

    def __init__(self, batches: Batches) -> None:
        self._one = dataclasses.replace(batches, batch_size=1)

    def __len__(self) -> int:
        return self._one.n_windows

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        inputs, _ = self._one.at(index)
        return {"input_ids": inputs[0], "labels": inputs[0]}


class _Timer(TrainerCallback):
    """Time from the start of each step to that of the next, including data and logging."""

    def __init__(self) -> None:
        self.seconds: list[_Seconds] = []
        self._last = _Seconds.now()

    def on_train_begin(self, *_: object, **__: object) -> None:
        self._last = _Seconds.now()

    def on_log(self, *_: object, **__: object) -> None:  # called after the loss has been read
        now = _Seconds.now()
        self.seconds.append(now - self._last)
        self._last = now


def _size(config: TrainConfig, vocab_size: int) -> tuple[int, int]:
    """The number of parameters, and the model FLOPs per token."""
    with torch.device("meta"):
        model = SantaCoder(config.model_config(vocab_size))
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    matrices = n_parameters - model.transformer.wpe.weight.numel()  # the embedding counts as the output layer
    return n_parameters, 6 * matrices + 12 * config.n_layer * config.n_embd * config.sequence_length


def _report(args: argparse.Namespace, config: TrainConfig, n_parameters: int, flops: int, results: _Results) -> None:
    on_gpu = config.device == "cuda"
    speed = {name: _tokens_per_second(times, config) for name, times in _named(results).items()}
    ours, trainer = speed["ours"], speed["Trainer"]
    figures = {
        "device": torch.cuda.get_device_name() if on_gpu else f"cpu, {torch.get_num_threads()} threads",
        "precision": config.precision,
        "parameters": n_parameters,
        "tokens_per_second": {name: round(rate.wall) for name, rate in speed.items()},
        "ratio": round(ours.wall / trainer.wall, 2),
        "tokens_per_processor_second": {name: round(rate.processor) for name, rate in speed.items()},
        "ratio_of_processor_time": round(ours.processor / trainer.processor, 2),
        "waiting_for_data": round(sum(results.waiting) / sum(seconds.wall for seconds in results.ours), 4),
        "model_tflops_per_second": {name: round(rate.wall * flops / 1e12, 2) for name, rate in speed.items()},
    }
    if args.peak_tflops:
        figures["mfu"] = {name: round(rate.wall * flops / 1e12 / args.peak_tflops, 3) for name, rate in speed.items()}
    batch = f"{config.batch_size} x {config.sequence_length} tokens per step"
    print(f"{n_parameters / 1e6:.1f} M parameters, {batch}, {config.precision}, {figures['device']}\n")
    print("| | tokens/s | model TFLOP/s | tokens per second of processor time |\n|---|---|---|---|")
    for name, rate in speed.items():
        print(f"| {name} | {rate.wall:,.0f} | {rate.wall * flops / 1e12:.2f} | {rate.processor:,.0f} |")
    print(f"| ratio | {figures['ratio']} | | {figures['ratio_of_processor_time']} |\n")
    print(f"Waiting for data: {figures['waiting_for_data']:.2%} of our time.")
    print(json.dumps(figures))


def _named(results: _Results) -> dict[str, list[_Seconds]]:
    return {"ours": results.ours, "Trainer": results.trainer}


def _tokens_per_second(times: list[_Seconds], config: TrainConfig) -> _Seconds:
    """The speed at the first quartile of the times."""
    quartiles = (statistics.quantiles(clock, n=4)[0] for clock in zip(*times, strict=True))
    return _Seconds(*(config.tokens_per_step / quartile for quartile in quartiles))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=["small", *SIZES], default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="bf16")
    parser.add_argument("--batch-size", type=int, default=8, help="sequences per step (default: 8)")
    parser.add_argument("--vocab-size", type=int, default=4096, help="vocabulary size (default: 4096)")
    parser.add_argument("--compile", action="store_true", help="use torch.compile for both")
    parser.add_argument("--steps", type=int, default=10, help="steps per round (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--peak-tflops", type=float, default=0, help="peak of the device, to report MFU")
    return parser


if __name__ == "__main__":
    main()
