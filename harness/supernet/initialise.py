"""Weights that training begins with, as the released once-for-all code draws them."""

import math

import torch
from torch import nn


@torch.no_grad()
def he_fout(network: nn.Module) -> None:
    """Draw new weights from torch's global random numbers (`init_models` of the released code).

    Convolutions: normal, variance 2 / (k * k * output channels), for depthwise ones too, whose fan
    out is k * k. Classifiers: uniform, as torch does. Biases are zero. The kernels' matrices and
    batch norms stay as they are.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            outputs = math.prod(module.kernel_size) * module.out_channels
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / outputs))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
