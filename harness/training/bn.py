"""Batch-norm statistics recomputed for a sub-network, which shares none with the supernet."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recompute(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace all running statistics by the average over batches [n, channels, height, width].

    The reference uses 2,000 training images. The network is left in evaluation mode.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    network.train()
    for batch in batches:
        network(batch)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
