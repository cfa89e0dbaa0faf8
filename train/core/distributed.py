"""Distributed training: process groups, model sharding and sums over all processes (torchrun, DDP, FSDP2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from santacoder.errors import UserError
from santacoder.model import SantaCoder
from train.config import TrainConfig
from train.core.precision import multiplied_in

# the other processes wait while the first one packs, generates or publishes
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class World:
    """The processes of a run and the rank of this one."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def rows(self, batch_size: int) -> range:
        """This process's share of a batch, as a range of rows.

        Raises:
            UserError: the batch size is not a multiple of the number of processes.
        """
        if batch_size % self.size:
            raise UserError(f"batch_size {batch_size} is not a multiple of the {self.size} processes.")
        share = batch_size // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def total(self, *values: float) -> list[float]:
        """Sum each value over all processes, in fp64."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    def wait_for_all(self) -> None:
        if self.size > 1:
            dist.barrier()


def under_torchrun() -> bool:
    return "LOCAL_RANK" in os.environ


def restarted() -> bool:
    """Whether torchrun restarted this process after another one died."""
    return _restarts() > 0


@contextmanager
def world(device: str) -> Iterator[World]:
    """Join the process group that torchrun started; without torchrun, the world is this process alone.

    Gloo is the backend for CPU tensors, mainly those of saved states; NCCL is the backend for GPU tensors.

    Raises:
        UserError: there is no GPU for ``cuda``.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("Device cuda was requested, but PyTorch finds no GPU on this machine; use cpu.")
    if not under_torchrun():
        yield World(0, 1, torch.device(device))
        return
    place = torch.device(device, int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    store, rank, size = next(dist.rendezvous("env://", timeout=_PATIENCE))
    # torchrun keeps its store over a restart, including the addresses of dead processes
    store = dist.PrefixStore(f"restart-{_restarts()}", store)
    backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        yield World(rank, size, place)
    finally:
        dist.destroy_process_group()


def divide(module: nn.Module, model: SantaCoder, config: TrainConfig, world: World) -> nn.Module:
    """Prepare ``module``, whose parameters are those of ``model``, for training by all processes.

    With fsdp, parameters, gradients and optimiser states are sharded block by block (``fully_shard``).
    """
    if world.size == 1:
        return module
    if config.parallel == "ddp":
        return DistributedDataParallel(module, gradient_as_bucket_view=True)
    dtype = multiplied_in(config.precision, world.device)
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    mesh = init_device_mesh(world.device.type, (world.size,))
    for block in model.transformer.h:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    return module


@contextmanager
def gradients_synchronised(module: nn.Module, wanted: bool) -> Iterator[None]:
    """Set whether this backward pass sums gradients over the processes; with accumulation only the last one has to."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(wanted)
    if isinstance(module, DistributedDataParallel) and not wanted:
        with module.no_sync():
            yield
    else:
        yield


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
