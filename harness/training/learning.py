"""What training a supernet and a single network have in common: optimizer, loss, rates."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sgd(network: nn.Module, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD with Nesterov's momentum; batch norm and biases do not decay."""
    groups = _groups(network, weight_decay)
    return torch.optim.SGD(groups, lr=0.1, momentum=momentum, nesterov=True)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters that decay, and those that do not."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def adamw(network: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Loshchilov and Hutter's (ICLR 2019); norms and biases do not decay."""
    return torch.optim.AdamW(_groups(network, weight_decay), lr=1e-3)


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
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
    soft: Tensor | None,
    distill: float,
) -> Tensor:
    """With the labels, and `distill` times with a teacher's soft labels [n, classes]."""
    logits = network(images)
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return loss if soft is None else loss + distill * F.cross_entropy(logits, soft)


@torch.no_grad()
def soft_labels(teacher: nn.Module | None, images: Tensor) -> Tensor | None:
    """What the teacher thinks of images, where there is one."""
    return None if teacher is None else F.softmax(teacher(images), dim=1)


def clipped(network: nn.Module, largest: float | None) -> float:
    """The norm of all gradients together, which is cut down to `largest`; the same on all ranks."""
    limit = math.inf if largest is None else largest
    return float(nn.utils.clip_grad_norm_(network.parameters(), limit))
