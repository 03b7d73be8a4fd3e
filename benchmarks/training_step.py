"""How fast is one training step of our supernet, against the reference's dynamic layers?

Forward, loss, backward and SGD of OFA-MobileNetV3 (width 1.0) on random images: the largest
sub-network and random ones, the same on both sides, from the same weights. The reference is
`OFAMobileNetV3` of the PyPI package `ofa` (`pip install --no-deps ofa tqdm`), kernel transforms on,
without dropout. Before anything is timed, logits, gradients and batch-norm statistics are compared.

Both take turns in this process, one thread. CPU time counts, not wall time, and of each the fastest
round: what else runs on the machine matters little. Prints tables and, as its last line, one JSON
object.

    python benchmarks/training_step.py

What is patched in the reference, and why: `ofa.utils.my_dataloader` is empty, since it imports
torchvision and no layer needs it.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from harness.spaces.arch import Arch
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0 as SPACE
from harness.supernet.released import load_released

Way = tuple[str, str]  # name and memory format
Seconds = npt.NDArray[np.float64]  # [rounds, archs] of CPU time
CONTIGUOUS, CHANNELS_LAST = torch.contiguous_format, torch.channels_last
REFERENCE, OURS, BF16 = "reference", "ours", "ours, bf16 autocast"
TOLERANCE = 1e-3  # largest difference of a tensor, relative to its largest value
ROUNDING = 1e-6  # all that there is of a bias' gradient where batch norm takes the bias away
OPERATORS = 8


@dataclass(frozen=True)
class Trainee:
    """A network in training on one batch, and how to choose its sub-network."""

    network: nn.Module
    activate: Callable[[Arch], object]
    images: Tensor
    labels: Tensor
    optimizer: torch.optim.SGD
    bf16: bool = False

    @classmethod
    def of(
        cls,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        memory_format: torch.memory_format = CONTIGUOUS,
        bf16: bool = False,
    ) -> "Trainee":
        """A copy of a network, ours or the reference's, in this memory format."""
        copy = deepcopy(network).train()
        copy.to(memory_format=memory_format)  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(copy.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
        own = getattr(copy, "activate", None)
        activate = own or (lambda arch: activate_reference(copy, arch))
        laid_out = images.to(memory_format=memory_format)
        return cls(copy, activate, laid_out, labels, optimizer, bf16)

    def loss(self) -> tuple[Tensor, Tensor]:
        """Logits and loss of the batch."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.network(self.images)
            return logits, F.cross_entropy(logits, self.labels)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss()[1].backward()
        self.optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sampled", type=int, default=4, help="random sub-networks")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=128, help="pixels")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-compile", action="store_true", help="it takes minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    theirs = reference()
    ours = as_ours(theirs.state_dict())
    size = arguments.resolution
    images = torch.randn(arguments.batch, 3, size, size)
    labels = torch.randint(SPACE.classes, (arguments.batch,))
    rng = np.random.default_rng(arguments.seed)
    archs = [SPACE.largest, *(decode(SPACE, g) for g in sample(SPACE, arguments.sampled, rng))]
    for arch in archs[:2]:
        compare(Trainee.of(theirs, images, labels), Trainee.of(ours, images, labels), arch)
    trainees = {
        (name, layout): Trainee.of(network, images, labels, memory_format)
        for layout, memory_format in (("contiguous", CONTIGUOUS), ("channels_last", CHANNELS_LAST))
        for name, network in ((REFERENCE, theirs), (OURS, ours))
    }
    fastest_format = trainees[OURS, "channels_last"]
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        trainees[BF16, "channels_last"] = Trainee.of(ours, images, labels, CHANNELS_LAST, bf16=True)
    seconds = in_turns(trainees, archs, arguments.rounds)
    figures = ratios(seconds)
    console = Console()
    console.print(overview(seconds, arguments.batch))
    console.print(operators(fastest_format, archs))
    figures["gain_compile"] = None
    if not arguments.without_compile:
        compiled, first_s = compile_largest(fastest_format, arguments.rounds)
        figures |= {"gain_compile": compiled, "compile_s": first_s}
    print(json.dumps(figures))


def reference() -> nn.Module:
    """The reference's supernet with random weights."""
    if find_spec("ofa") is None:
        sys.exit("the reference is missing: pip install --no-deps ofa tqdm")
    sys.modules["ofa.utils.my_dataloader"] = ModuleType("ofa.utils.my_dataloader")
    elastic = "ofa.imagenet_classification.elastic_nn"
    layers = import_module(f"{elastic}.modules.dynamic_op")
    assert layers.DynamicSeparableConv2d.KERNEL_TRANSFORM_MODE == 1
    network: nn.Module = import_module(f"{elastic}.networks.ofa_mbv3").OFAMobileNetV3(
        n_classes=SPACE.classes,
        bn_param=(0.1, SPACE.bn_eps),
        dropout_rate=0,
        ks_list=list(SPACE.kernels),
        expand_ratio_list=list(SPACE.expands),
        depth_list=list(SPACE.depths),
    )
    return network


def activate_reference(network: nn.Module, arch: Arch) -> None:
    """Choose the sub-network; layers that are left out get a choice that nothing uses."""
    kernels = [kernel or SPACE.kernels[0] for kernel in arch.kernels]
    expands = [expand or SPACE.expands[0] for expand in arch.expands]
    network.set_active_subnet(ks=kernels, e=expands, d=list(arch.depths))  # type: ignore[operator]


def as_ours(tensors: Mapping[str, Tensor]) -> nn.Module:
    """Our supernet with the reference's tensors: their weights, or gradients in place of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "supernet.pth")
        torch.save({"state_dict": dict(tensors)}, path)
        return load_released(path, SPACE)


def compare(theirs: Trainee, ours: Trainee, arch: Arch) -> None:
    """Stop where the two do not compute the same."""
    logits = []
    for trainee in (theirs, ours):
        trainee.activate(arch)
        output, loss = trainee.loss()
        loss.backward()
        logits.append(output.detach())
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in theirs.network.named_parameters()
    }
    buffers = dict(theirs.network.named_buffers())
    wanted = as_ours(gradients | buffers).state_dict() | {"logits": logits[0]}
    found = {name: p.grad for name, p in ours.network.named_parameters()}
    found |= dict(ours.network.named_buffers()) | {"logits": logits[1]}
    for name, want in wanted.items():
        if name.endswith("num_batches_tracked"):
            continue  # ours are never used
        have = found[name]
        difference = (want if have is None else have - want).abs().max()
        if difference > TOLERANCE * want.abs().max() + ROUNDING:
            sys.exit(f"{arch.to_json()}: {name} differs by {difference:.2g}")


def in_turns(
    trainees: Mapping[Way, Trainee], archs: Sequence[Arch], rounds: int
) -> dict[Way, Seconds]:
    """CPU seconds of each step. The round before the first is not counted."""
    seconds = {key: np.empty((rounds, len(archs))) for key in trainees}
    order = list(trainees)
    for number in range(-1, rounds):
        for index, arch in enumerate(archs):
            for key in order:
                trainees[key].activate(arch)
                took = timed(trainees[key].step)
                if number >= 0:
                    seconds[key][number, index] = took
            order = order[1:] + order[:1]  # none is always after the same one
    return seconds


def timed(run: Callable[[], None]) -> float:
    """CPU seconds."""
    start = time.process_time_ns()
    run()
    return (time.process_time_ns() - start) / 1e9


def ratios(seconds: Mapping[Way, Seconds]) -> dict[str, object]:
    """How many times as fast: ours against theirs in each memory format, then our own choices."""
    last = "channels_last"
    figures: dict[str, object] = {}
    for layout, suffix in ((last, ""), ("contiguous", "_contiguous")):
        theirs, ours = seconds[REFERENCE, layout], seconds[OURS, layout]
        figures |= {
            f"ratio{suffix}": gain(theirs, ours),
            f"ratio_largest{suffix}": gain(theirs[:, :1], ours[:, :1]),
            f"ratio_sampled{suffix}": gain(theirs[:, 1:], ours[:, 1:]),
            f"ratio_interval{suffix}": interval(theirs, ours),
        }
    figures["gain_channels_last"] = gain(seconds[OURS, "contiguous"], seconds[OURS, last])
    bf16 = seconds.get((BF16, last))
    figures["gain_bf16"] = None if bf16 is None else gain(seconds[OURS, last], bf16)
    return figures


def gain(before: Seconds, after: Seconds) -> float:
    """The ratio of their fastest rounds, all sub-networks together."""
    return float(before.min(axis=0).sum() / after.min(axis=0).sum())


def interval(before: Seconds, after: Seconds, draws: int = 2000) -> tuple[float, float]:
    """Where 95 % of random halves of the rounds put the gain.

    For an extreme, samples smaller than the whole are valid where the bootstrap is not (Politis
    and Romano 1994).
    """
    rng = np.random.default_rng(0)
    half = (len(before) + 1) // 2
    halves = (rng.choice(len(before), half, replace=False) for _ in range(draws))
    low, high = np.quantile([gain(before[rows], after[rows]) for rows in halves], (0.025, 0.975))
    return float(low), float(high)


def compile_largest(trainee: Trainee, rounds: int) -> tuple[float, float]:
    """What torch.compile gains on the largest network, and the seconds of its first step.

    It compiles anew for each sub-network that it meets, so random ones are not for it.
    """
    trainee.activate(SPACE.largest)
    compiled = Trainee(
        torch.compile(trainee.network),  # type: ignore[arg-type]
        *(trainee.activate, trainee.images, trainee.labels, trainee.optimizer),
    )
    start = time.perf_counter()
    compiled.step()
    first_s = time.perf_counter() - start
    eager, other = (OURS, "channels_last"), ("ours, compiled", "channels_last")
    seconds = in_turns({eager: trainee, other: compiled}, [SPACE.largest], rounds)
    return gain(seconds[eager], seconds[other]), first_s


def overview(seconds: Mapping[Way, Seconds], batch: int) -> Table:
    printed = Table(title="one training step, images per CPU second")
    for heading in ("", "memory format", "largest", "sampled", "ratio", "interval"):
        printed.add_column(heading, justify="right")
    for (name, layout), own in seconds.items():
        fastest, theirs = own.min(axis=0), seconds[REFERENCE, layout]
        low, high = interval(theirs, own)
        printed.add_row(
            *(name, layout, f"{batch / fastest[0]:.1f}", f"{batch / fastest[1:].mean():.1f}"),
            *(f"{gain(theirs, own):.2f}", f"{low:.2f} to {high:.2f}"),
        )
    return printed


def operators(trainee: Trainee, archs: Sequence[Arch]) -> Table:
    """Where a step's time goes: shares of CPU time, convolutions by kind."""
    totals = []
    for group in (archs[:1], archs[1:]):
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            for arch in group:
                trainee.activate(arch)
                trainee.step()
        total: dict[str, float] = {}
        for row in profiler.key_averages(group_by_input_shape=True):
            name = row.key + kind_of_convolution(row.key, row.input_shapes)
            total[name] = total.get(name, 0.0) + row.self_cpu_time_total
        totals.append({name: took / sum(total.values()) for name, took in total.items()})
    largest, sampled = totals
    printed = Table(title="ours, channels_last: CPU time by operator")
    for heading in ("operator", "largest", "sampled"):
        printed.add_column(heading, justify="right" if heading != "operator" else "left")
    names = sorted(largest.keys() | sampled.keys(), key=lambda n: -largest.get(n, 0))
    for name in names[:OPERATORS]:
        printed.add_row(name, f"{largest.get(name, 0):.1%}", f"{sampled.get(name, 0):.1%}")
    return printed


def kind_of_convolution(operator: str, shapes: Sequence[Sequence[int]]) -> str:
    """Of the operators that take a filter: which shape it has."""
    position = {"aten::mkldnn_convolution": 1, "aten::convolution_backward": 2}.get(operator)
    if position is None:
        return ""
    channels, rows, columns = shapes[position][1:]
    return f", {'depthwise' if channels == 1 else 'dense'} {rows}x{columns}"


if __name__ == "__main__":
    main()
