"""Weights that are not there: which of a network's are zero, and from which step on.

A network's mask is its zeros: they are in its file, in checkpoints and in every exported file, and
what is zero before a step is zero after it. The first layer and depthwise filters, which hold few
weights, are left whole (as Zhu and Gupta leave them, 2017); each other layer loses the same share.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil, log2
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from harness.networks.build import build_lively
from harness.networks.file import NetworkFile
from harness.training.channels import cut

Pattern = Literal["unstructured", "2:4", "channels", "predefined"]
GROUP = 4  # neighbours along the input channels, of which 2:4 keeps two


@dataclass(frozen=True)
class Sparsity:
    """What is asked for.

    `unstructured`: the smallest weights go little by little over the first half of training (Zhu
    and Gupta, 2017); with `rewind`, lottery tickets (Frankle et al., 2020). `2:4`: of four
    neighbours the two smallest, before training. `channels`: inner channels are cut out before
    training; nothing is zero then, the network is smaller. `predefined`: connections drawn at
    random, equally many to each output, of a network that is trained from random weights (Dey et
    al., 2019).
    """

    share: float  # of zeros in each layer that is thinned; of `channels`, of inner channels
    pattern: Pattern = "unstructured"
    rewind: int | None = None  # the step whose weights those that are left go back to

    @property
    def rounds(self) -> int:
        """Trainings: one, and of lottery tickets one more each time that half of them went."""
        return 1 if self.rewind is None else 1 + ceil(-log2(1 - self.share) - 1e-9)

    def steps(self, training: int) -> int:
        """Of all rounds, of which the first takes so many.

        Raises:
            UsageError: a training has no such step to go back to.
        """
        if self.rewind is None:
            return training
        if self.rewind >= training:
            raise UsageError(f"--rewind {self.rewind}: training has {training} steps")
        return training + (self.rounds - 1) * (training - self.rewind)

    def place(self, step: int, training: int) -> tuple[int, int]:
        """The round of a step of all, and which of its training it is."""
        if step < training:
            return 0, step
        rewind = self.rewind or 0
        number, further = divmod(step - training, training - rewind)
        return 1 + number, rewind + further

    def ticket(self, number: int) -> float:
        """The share of zeros in a round."""
        return self.share if number == self.rounds - 1 else 1 - 0.5**number


@dataclass
class Thinning:
    """What becomes of a network's zeros while it is trained; nothing where nothing is asked for."""

    sparsity: Sparsity | None
    training: int  # steps of one round
    early: dict[str, Tensor] = field(default_factory=dict)  # the weights to go back to
    tickets: list[dict[str, float]] = field(default_factory=list)  # of rounds that ended

    @property
    def steps(self) -> int:
        return self.sparsity.steps(self.training) if self.sparsity else self.training

    def progress(self, step: int) -> float:
        """Of the training that a step is of, from 0 to 1."""
        place = self.sparsity.place(step, self.training)[1] if self.sparsity else step
        return place / self.training

    def before(self, step: int, network: nn.Module, judge: Callable[[], float]) -> bool:
        """Prune as the step asks for; whether weights went back, and momenta are of others.

        `judge` gives the network's accuracy, percent; of a round's end it is kept.
        """
        asked = self.sparsity
        if asked is None or asked.pattern != "unstructured":
            return False
        number, place = asked.place(step, self.training)
        if asked.rewind is None:
            if place < self.training / 2:
                left = max(0.0, 1 - (place + 1) / (self.training / 2))
                prune(network, asked.share * (1 - left**3))
            return False
        if place == asked.rewind and number == 0:
            self.early = {name: each.clone() for name, each in network.state_dict().items()}
        if place != asked.rewind or number == 0:
            return False
        self.tickets.append({"zeros": zeros(network), "accuracy": judge()})
        prune(network, asked.ticket(number))
        with kept(network):
            network.load_state_dict(self.early)
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights."""
        return {"early": self.early, "tickets": self.tickets}


def begun(network: NetworkFile, sparsity: Sparsity | None, seed: int) -> NetworkFile:
    """What training begins with.

    Raises:
        UsageError: the network has nothing that could be thinned so.
    """
    if sparsity is None:
        return network
    if sparsity.pattern == "channels":
        return cut(network, sparsity.share)
    module = network.module()
    if sparsity.pattern == "predefined":
        module = build_lively(network.blocks, seed)
        draw(module, sparsity.share, seed)
    elif sparsity.pattern == "2:4":
        prune_2_4(module)
    if not thinned(module) or not (sparsity.pattern == "unstructured" or zeros(module)):
        raise UsageError(f"no layer of the network can be thinned by --pattern {sparsity.pattern}")
    return replace(network, weights=dict(module.state_dict()))


def thinned(network: nn.Module) -> dict[str, Tensor]:
    """The weights that pruning is about, by name: [out, in] or [out, in, height, width]."""
    return {
        f"{name}.weight": layer.weight.data
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and not name.startswith("0.")
        and getattr(layer, "groups", 1) == 1
    }


def zeros(network: nn.Module) -> float:
    """Their share in the weights that pruning is about."""
    weights = thinned(network).values()
    return sum(int((each == 0).sum()) for each in weights) / sum(each.numel() for each in weights)


def counted(network: nn.Module, before: NetworkFile) -> dict[str, int]:
    """Weights of all layers that are left, and how many there were; no biases, no norms."""
    left = sum(int((each != 0).sum()) for each in network.parameters() if each.ndim > 1)
    return {
        "left": left,
        "of": sum(each.numel() for each in before.weights.values() if each.ndim > 1),
    }


def prune(network: nn.Module, share: float) -> None:
    """The smallest of each layer; zeros are the smallest of all."""
    for weight in thinned(network).values():
        gone = min(round(share * weight.numel()), weight.numel() - 1)
        if gone:
            size = weight.abs()
            weight[size <= size.flatten().kthvalue(gone).values] = 0


def prune_2_4(network: nn.Module) -> None:
    """The two smallest of four neighbours, in layers whose input channels are whole fours."""
    for weight in thinned(network).values():
        if weight.shape[1] % GROUP == 0:
            fours = weight.unflatten(1, (-1, GROUP))
            smallest = fours.abs().topk(GROUP // 2, dim=2, largest=False).indices
            weight.copy_(fours.scatter(2, smallest, 0).flatten(1, 2))


def draw(network: nn.Module, share: float, seed: int) -> None:
    """Connections at random, as many to each output of a layer; what is left grows by as much as
    keeps the sums over inputs as large as they were."""
    random = torch.Generator().manual_seed(seed)
    for weight in thinned(network).values():
        inputs = weight[0].numel()
        left = max(1, round((1 - share) * inputs))
        order = torch.rand(len(weight), inputs, generator=random).argsort(1)
        weight.mul_((order < left).reshape(weight.shape)).mul_((inputs / left) ** 0.5)


@contextmanager
def kept(network: nn.Module) -> Iterator[None]:
    """Zeros stay zero, whatever happens meanwhile."""
    gone = {name: weight == 0 for name, weight in thinned(network).items()}
    yield
    for name, weight in thinned(network).items():
        weight.masked_fill_(gone[name], 0)
