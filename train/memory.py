"""How much memory a run takes on each process, about, and what would fit where it does not."""

from __future__ import annotations

import dataclasses

import psutil
import torch

from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError
from santacoder.model import SantaCoder
from train.config import TrainConfig
from train.distributed import World
from train.loss import CHUNK_ROWS
from train.precision import multiplied_in
from train.presets import SIZES

_RESERVE = 0.5e9  # Python, PyTorch and the batches


def require_memory(model_config: SantaCoderConfig, config: TrainConfig, world: World) -> None:
    """
    Raises:
        UserError: the run does not fit; the sentence says what would.
    """
    needed, free = memory_needed(model_config, config, world), free_memory(world)
    if needed <= free:
        return
    raise UserError(
        f"The run needs about {needed / 1e9:.1f} GB on each process, but {free / 1e9:.1f} GB are free: "
        f"{_what_would_fit(model_config, config, world, free)}"
    )


def memory_needed(model_config: SantaCoderConfig, config: TrainConfig, world: World) -> float:
    """Bytes on one process: weights, gradients and moments in fp32, and what the backward pass needs."""
    with torch.device("meta"):
        n_parameters = sum(parameter.numel() for parameter in SantaCoder(model_config).parameters())
    weights = 4 * n_parameters
    moments = 4 if config.optimizer == "muon" else 8
    learned = 0.1 * n_parameters if config.lora_rank else n_parameters
    state = weights + learned * (4 + moments)
    if config.parallel == "fsdp":
        state /= world.size
    return state + _activations(model_config, config, world) + _RESERVE


def free_memory(world: World) -> float:
    """Bytes a process can still take; on CPUs the processes of this machine share what there is."""
    if world.device.type == "cuda":
        return torch.cuda.mem_get_info(world.device)[0]
    return psutil.virtual_memory().available / world.size


def _activations(model_config: SantaCoderConfig, config: TrainConfig, world: World) -> float:
    """Bytes kept for the backward pass.

    A layer keeps 34 bytes per token and channel in half precision (Korthikanti et al., arXiv 2205.05198, section 4.1,
    without what fused attention does not keep), or its input alone and one layer in full.
    """
    micro_batch = config.micro_batch_size or config.batch_size // world.size
    tokens = micro_batch * config.sequence_length
    dtype = multiplied_in(config.precision, world.device)
    layer = tokens * model_config.n_embd * (68 if dtype == torch.float32 else 34)
    if world.device.type == "cpu" and dtype == torch.bfloat16:
        # attention in blocks keeps its weights, half of them being masked away
        layer += micro_batch * model_config.n_head * config.sequence_length**2 * 2
    # logits, probabilities and their gradient, for as many rows as the loss takes at a time
    loss = min(tokens, CHUNK_ROWS[world.device.type]) * model_config.vocab_size * 12
    if config.activation_checkpointing:
        return loss + layer + model_config.n_layer * tokens * model_config.n_embd * 4
    return loss + model_config.n_layer * layer


def _what_would_fit(model_config: SantaCoderConfig, config: TrainConfig, world: World, free: float) -> str:
    micro_batch = (config.micro_batch_size or config.batch_size // world.size) // 2
    while micro_batch >= 1:
        smaller = dataclasses.replace(config, micro_batch_size=micro_batch)
        if memory_needed(model_config, smaller, world) <= free:
            return f"--micro-batch-size {micro_batch} would fit, and computes the same."
        checkpointing = dataclasses.replace(smaller, activation_checkpointing=True)
        if micro_batch == 1 and memory_needed(model_config, checkpointing, world) <= free:
            return "--micro-batch-size 1 --activation-checkpointing would fit, and computes the same."
        micro_batch //= 2
    for name, settings in reversed(SIZES.items()):
        shape = dataclasses.replace(config, **{"n_layer": 6, "n_embd": 256, "n_head": 4, **settings})
        smaller = dataclasses.replace(shape, micro_batch_size=1)
        if not config.base and memory_needed(smaller.model_config(model_config.vocab_size), smaller, world) <= free:
            return f"--size {name} --micro-batch-size 1 would fit."
    return "use a machine with more memory" + (", or --parallel fsdp on several." if world.size == 1 else ".")
