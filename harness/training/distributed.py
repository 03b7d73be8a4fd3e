"""Ranks under torchrun; a plain process is one rank of one."""

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from harness.errors import UsageError


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together, and the device it computes on."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this rank writes files and speaks to the user."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are averaged over ranks.

        Batch-norm statistics are not: each rank normalises by its own micro-batch, as the reference
        does, and whatever is kept of a network gets its statistics recomputed. A sub-network
        leaves parameters out, which DDP has to find.
        """
        if self.count == 1:
            return network
        # Depthwise weights are contiguous in both layouts: one more copy, and nothing wrong.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        # The new name of that argument is newer than the torch that we still support.
        warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
        devices = [self.device] if self.device != "cpu" else None
        return DistributedDataParallel(
            network, devices, broadcast_buffers=False, find_unused_parameters=True
        )

    def accumulating(self, network: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """Where gradients are only added up, and exchanged with the `last` of them."""
        if isinstance(network, DistributedDataParallel) and not last:
            return network.no_sync()
        return nullcontext()

    def mean(self, value: torch.Tensor) -> float:
        """The mean of a number over ranks."""
        if self.count > 1:
            dist.all_reduce(value)
        return float(value) / self.count

    def gathered(self, value: object) -> list[Any]:
        """What each rank has, in their order; only the first gets it."""
        if self.count == 1:
            return [value]
        found: list[Any] | None = [None] * self.count if self.first else None
        dist.gather_object(value, found)
        return found or []

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Ranks()


def own_device() -> str:
    """Where this process computes: its GPU, where there is one."""
    if not torch.cuda.is_available():
        return "cpu"
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise UsageError(
            f"there are {there} GPUs here, too few for rank {local}: start fewer ranks"
        )
    return f"cuda:{local}"


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started; NCCL between GPUs, else gloo."""
    count, device = int(os.environ.get("WORLD_SIZE", "1")), own_device()
    if device != "cpu":
        torch.cuda.set_device(device)
    if count == 1:
        yield Ranks(device=device)
        return
    dist.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield Ranks(dist.get_rank(), count, device)
    finally:
        dist.destroy_process_group()
