"""Estimates of the memory that a run needs per process, and suggestions if there is too little."""

from __future__ import annotations

import dataclasses

import psutil
import torch

from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError
from santacoder.model import SantaCoder
from train.config import TrainConfig
from train.core.distributed import World
from train.core.loss import CHUNK_ROWS
from train.core.precision import multiplied_in
from train.presets import SIZES

_RESERVE = 0.5e9  # Python, PyTorch and the batches


def require_memory(model_config: SantaCoderConfig, config: TrainConfig, world: World) -> None:
    """Check that the run fits in memory.

    Raises:
        UserError: it does not; the message says what would fit.
    """
    needed, free = memory_needed(model_config, config, world), free_memory(world)
    if needed <= free:
        return
    raise UserError(
        f"The run needs about {needed / 1e9:.1f} GB per process, but only {free / 1e9:.1f} GB are free: "
        f"{_what_would_fit(model_config, config, world, free)}"
    )


def memory_needed(model_config: SantaCoderConfig, config: TrainConfig, world: World) -> float:
    """Bytes per process: weights, gradients and moments in fp32, and activations for the backward pass."""
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
    """Bytes available to each process; on CPUs, the processes of a machine share its memory."""
    if world.device.type == "cuda":
        return torch.cuda.mem_get_info(world.device)[0]
    return psutil.virtual_memory().available / world.size


def _activations(model_config: SantaCoderConfig, config: TrainConfig, world: World) -> float:
    """Bytes of activations kept for the backward pass.

    A layer keeps 34 bytes per token and channel in half precision (Korthikanti et al., arXiv 2205.05198, section 4.1,
    without what fused attention does not store). With checkpointing, each layer keeps only its input, and one layer is
    kept in full.
    """
    micro_batch = config.micro_batch_size or config.batch_size // world.size
    tokens = micro_batch * config.sequence_length
    dtype = multiplied_in(config.precision, world.device)
    layer = tokens * model_config.n_embd * (68 if dtype == torch.float32 else 34)
    if world.device.type == "cpu" and dtype == torch.bfloat16:
        # blocked attention keeps its weights, half of which are masked
        layer += micro_batch * model_config.n_head * config.sequence_length**2 * 2
    # logits and, on a GPU, probabilities, for one chunk of rows of the loss
    logit = dtype.itemsize + (0 if world.device.type == "cpu" else 4)
    loss = min(tokens, CHUNK_ROWS[world.device.type]) * model_config.vocab_size * logit
    if config.activation_checkpointing:
        return loss + layer + model_config.n_layer * tokens * model_config.n_embd * 4
    return loss + model_config.n_layer * layer


def _what_would_fit(model_config: SantaCoderConfig, config: TrainConfig, world: World, free: float) -> str:
    micro_batch = (config.micro_batch_size or config.batch_size // world.size) // 2
    # what dropout draws depends on the micro-batches
    result = "" if config.dropout else " and gives the same result"
    while micro_batch >= 1:
        smaller = dataclasses.replace(config, micro_batch_size=micro_batch)
        if memory_needed(model_config, smaller, world) <= free:
            return f"--micro-batch-size {micro_batch} would fit{result}."
        checkpointing = dataclasses.replace(smaller, activation_checkpointing=True)
        if micro_batch == 1 and memory_needed(model_config, checkpointing, world) <= free:
            return f"--micro-batch-size 1 --activation-checkpointing would fit{result}."
        micro_batch //= 2
    for name, settings in reversed(SIZES.items()):
        shape = dataclasses.replace(config, **{"n_layer": 6, "n_embd": 256, "n_head": 4, **settings})
        smaller = dataclasses.replace(shape, micro_batch_size=1)
        if not config.base and memory_needed(smaller.model_config(model_config.vocab_size), smaller, world) <= free:
            return f"--size {name} --micro-batch-size 1 would fit."
    return "use a machine with more memory" + (", or --parallel fsdp on several." if world.size == 1 else ".")
