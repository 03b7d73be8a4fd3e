"""What training a supernet and a single network have in common: optimizer, loss, rates."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sgd(network: nn.Module, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD with Nesterov's momentum; batch norm and biases do not decay."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.1, momentum=momentum, nesterov=True)


def set_rate(optimizer: torch.optim.SGD, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def cosine(highest: float, progress: float) -> float:
    """From the highest rate at 0 to zero at 1."""
    return highest * 0.5 * (1 + math.cos(math.pi * progress))


def cross_entropy(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    label_smoothing: float,
    teacher: nn.Module | None,
    distill: float,
) -> Tensor:
    """With the labels, and `distill` times with what the teacher thinks."""
    logits = network(images)
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if teacher is not None:
        with torch.no_grad():
            soft = F.softmax(teacher(images), dim=1)
        loss = loss + distill * F.cross_entropy(logits, soft)
    return loss
