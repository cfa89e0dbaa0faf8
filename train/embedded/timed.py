"""Train mini for some minutes, from one file to weights in parts, with PyTorch, tokenizers and safetensors alone.

    python -m train.embedded.timed carried.zip OUT --minutes 9
    python -m train.embedded.timed carried.zip OUT --minutes 1 --device cpu --shape tiny     # a rehearsal

The file is that of ``python -m train.embedded.carried``. The learning rate follows the clock instead of the number of
steps: it is constant for three quarters of the time, on all files, and falls in the last one, on the simple files. The
time begins when the first steps, which compile, are done. Without the parsers of tree-sitter, gaps are lines and random
cuts instead of syntax nodes. A training that ends early, by Ctrl-C, SIGTERM or an error, leaves the weights so far.
``python -m train.embedded.parts OUT`` publishes the result.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from santacoder.errors import UserError
from santacoder.fim import FimTransform, NodeCuts
from santacoder.model import SantaCoder
from santacoder.paths import user_path
from train.config import TrainConfig
from train.core.batches import Batches, prefetched
from train.core.distributed import World, world
from train.core.step import NotFinite, Training, prepare, training_step
from train.data.pack import Documents
from train.embedded.carried import Carried, read
from train.embedded.parts import describe, require_room, write_result
from train.embedded.presets import PRESETS
from train.run.stopping import stop_requests
from train.run.validation import validation_loss

# what the schedule counts, instead of steps
_TICKS = 100_000
_LAST_PHASE = 0.25
_STEPS_BEFORE = 3
_SECONDS_BETWEEN_REPORTS = 10
_MOST_STEPS = 10**7
_SHAPES: dict[str, dict[str, Any]] = {
    "mini": {},
    "tiny": {"n_layer": 2, "n_embd": 32, "n_head": 2, "sequence_length": 64, "batch_size": 4, "compile": False},
}


class _EndedEarly(Exception):
    """The training ended before its time; the message is a sentence for the user."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if the training ended early, 2 if a file cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m train.embedded.timed", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", type=user_path, help="file of python -m train.embedded.carried")
    parser.add_argument("output", type=user_path, help="folder of the weights")
    parser.add_argument("--minutes", type=float, default=9, help="of training (default: 9)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="(default: cuda)")
    parser.add_argument("--shape", choices=_SHAPES, default="mini", help="(default: mini)")
    parser.add_argument("--workers", type=int, default=12, help="processes that prepare batches (default: 12)")
    args = parser.parse_args(arguments)
    if not 0 < args.minutes < math.inf:
        parser.error(f"--minutes must be a number above 0, not {args.minutes:g}")
    try:
        with world(args.device) as alone:
            carried = read(args.file)
            config = _config(args.device, args.shape, args.workers)
            print(_trained(carried, config, args.minutes * 60, args.output, alone))
    except _EndedEarly as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. If {args.output} has a run.json, it holds a whole model.", file=sys.stderr)
        return 1
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _config(device: str, shape: str, workers: int) -> TrainConfig:
    """The settings of the GPU's mini, with the schedule in ticks. ``save_every`` and the like are not used."""
    settings = {**PRESETS["gpu"].mini, **_SHAPES[shape], "steps": _TICKS, "cooldown_fraction": _LAST_PHASE}
    return TrainConfig(**settings, cooldown_shape="linear", device=device, loader_workers=workers)  # type: ignore[arg-type]


def _trained(carried: Carried, config: TrainConfig, seconds: float, output: Path, world: World) -> str:
    """Train and write the weights. Returns a sentence for the user.

    Raises:
        _EndedEarly: the loss was not finite, or SIGINT or SIGTERM was received; the weights so far are written.
    """
    torch.manual_seed(config.seed)
    model = SantaCoder(config.model_config(carried.data.tokenizer.vocab_size)).train()
    require_room(model, output)
    training = prepare(model, config, world)
    n_steps, problem = 0, ""
    with stop_requests(world) as stop:
        try:
            for done in _steps(training, carried, config, seconds, world):
                n_steps = done
                if stop.is_set():
                    problem = "Stopped"
                    break
        except NotFinite as error:
            problem = str(error)
        finally:  # before the validation, and whatever has happened
            tokens = n_steps * config.tokens_per_step
            run: dict[str, Any] = {"step": n_steps, "tokens": tokens, "validation_loss": None, "metrics": {}}
            if n_steps:
                write_result(model, carried.data.tokenizer, output, run)
        if not n_steps:
            raise _EndedEarly(f"{problem} at the first step; nothing was written.")
        loss, bits = validation_loss(training, carried.data, config, world)
        describe(model, output, {**run, "validation_loss": loss, "metrics": {"bits_per_byte": bits}})
    told = f"{n_steps:,} steps, {tokens / 1e6:,.1f} M tokens: {loss:.3f} nats per token, {bits:.3f} bits per byte."
    if problem:
        raise _EndedEarly(f"{problem} after {n_steps:,} steps; {output} has the weights so far. {told}")
    return told


def _steps(training: Training, carried: Carried, config: TrainConfig, seconds: float, world: World) -> Iterator[int]:
    """Train until the time is over. Yields the number of steps done, after each."""
    everything = _endless(carried.data.train, carried.documents, carried, config, world)
    last = PRESETS["gpu"].mini_simple
    of_the_last = replace(config, **{name: last[name] for name in ("fim_rate", "line_rate", "node_rate", "seed")})
    tokens, documents = carried.only_simple() if carried.simple.any() else (carried.data.train, carried.documents)
    simple = _endless(tokens, documents, carried, of_the_last, world)
    for step in range(_STEPS_BEFORE):
        training_step(training, next(everything), 0, config, world)
        yield step + 1
    began = reported = time.perf_counter()
    step = _STEPS_BEFORE
    while (share := (time.perf_counter() - began) / seconds) < 1:
        batch = next(simple if share >= 1 - _LAST_PHASE else everything)
        loss, norm = training_step(training, batch, int(share * _TICKS), config, world)
        step += 1
        yield step
        if time.perf_counter() - reported >= _SECONDS_BETWEEN_REPORTS:
            reported = time.perf_counter()
            speed = (step - _STEPS_BEFORE) * config.tokens_per_step / (reported - began)
            row = {"step": step, "share": round(share, 3), "loss": round(loss, 3), "gradient_norm": round(norm, 2)}
            print(json.dumps({**row, "tokens_per_second": round(speed)}), flush=True)


def _endless(
    tokens: np.ndarray, documents: Documents, carried: Carried, config: TrainConfig, world: World
) -> Iterator[tuple[Tensor, Tensor]]:
    rates = config.fim_rate, config.spm_rate, config.line_rate, config.node_rate
    fim = FimTransform(carried.data.tokenizer, *rates, _node_cuts())
    batches = Batches(tokens, config.sequence_length, config.batch_size, config.seed, fim, documents, balanced=True)
    rows, on_gpu = world.rows(config.batch_size), config.device == "cuda"
    return iter(prefetched(batches, range(_MOST_STEPS), rows, workers=config.loader_workers, pin_memory=on_gpu))


def _node_cuts() -> NodeCuts | None:
    if find_spec("tree_sitter") is None:
        return None
    from train.data.syntax import node_cuts

    return node_cuts


if __name__ == "__main__":
    sys.exit(main())
