"""Modules from blocks, on this side of the wire."""

from collections.abc import Sequence

import torch
from torch import nn

from harness.networks.layers import enliven, make_network
from harness.spaces.block import Block

BN_EPS = 1e-5  # of every network that is built from blocks


def build(blocks: Sequence[Block]) -> nn.Sequential:
    """The plain network of `blocks`, in evaluation mode.

    Input [n, ...] of the first block's shape.
    """
    network: nn.Sequential = make_network([block.spec for block in blocks])
    return network.eval()


def build_random(blocks: Sequence[Block], seed: int) -> nn.Sequential:
    """The same network for the same seed; torch's global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(blocks)


def build_lively(blocks: Sequence[Block], seed: int) -> nn.Sequential:
    """A random network whose outputs depend on its input however deep it is, to time and compare;
    the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Sequential = enliven(build(blocks), blocks[0].spec)
    return network


@torch.no_grad()
def fold_eps(network: nn.Module) -> None:
    """Give every batch norm torch's own epsilon; what it is smaller by goes into the variances."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            module.running_var += module.eps - BN_EPS
            module.eps = BN_EPS


def input_shape(blocks: Sequence[Block], batch: int) -> tuple[int, ...]:
    """What the first block takes."""
    return batch, *blocks[0].input_shape
