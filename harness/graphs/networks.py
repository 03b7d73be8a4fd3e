"""Real networks that ship as kernels: the prior of configurations, and the anchors of kernel
tables. `benchmarks/zoo.py` collects them; the file's first line tells where they come from."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from harness import files
from harness.graphs.graph import Source
from harness.graphs.reading import KernelRuntime
from harness.runtimes.conversion.cache import cache_folder
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_openvino import OPENVINO

FEW, SEED = 40, 303  # kernels of a variant that have others beside them, and of which
LINKED = {
    *("MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Softmax", "LayerNormalization", "Transpose"),
    *("SkipLayerNormalization", "Gelu", "BiasGelu", "QuickGelu", "Add", "Mul", "Div", "Sub"),
    *("Relu", "Sigmoid", "HardSigmoid", "Clip", "Erf", "BatchNormalization"),
    *("BATCH_MATMUL", "FULLY_CONNECTED", "SOFTMAX", "TRANSPOSE", "GELU"),
    *("ADD", "MUL", "DIV", "SUB"),
    *("RELU", "RELU6", "RELU_0_TO_1", "LOGISTIC", "HARD_SWISH", "TANH", "PRELU", "LEAKY_RELU"),
    *("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "RSQRT", "SQRT", "EXP", "ABS", "NEG", "POW"),
    *("MEAN", "SUM", "REDUCE_MAX"),
}
"""Operators whose sizes depend on each other only by being equal."""


@dataclass(frozen=True)
class KnownNetwork:
    """A published network, as a runtime executes it."""

    family: str
    name: str
    kernels: tuple[Kernel, ...]
    sources: tuple[tuple[Source, ...], ...]
    calibrates: bool  # whether its file runs as it does; of token ids there are none to feed

    def file(self, runtime: KernelRuntime) -> Path:
        """A file of it, whose weights nobody trained, in the cache."""
        path = cache_folder() / f"{self.family}.{self.name}.kernels{runtime.suffix}"
        content = runtime.network_file(self.kernels, self.sources)
        if not path.exists() or path.read_bytes() != content:
            files.replace_atomically(path, content)
        return path


def collected(runtime: KernelRuntime) -> Path:
    """The file that ships."""
    return Path(__file__).with_name(f"networks.{runtime.name}.jsonl")


@cache
def known_networks(runtime: KernelRuntime) -> tuple[KnownNetwork, ...]:
    """All that ship, in the order of the file."""
    lines = (value for _, value in files.read_lines(collected(runtime)))
    first = next(lines)
    kernels = [Kernel.parse(key) for key in first["kernels"]]
    return tuple(
        KnownNetwork(
            each["family"],
            each["name"],
            tuple(kernels[place] for place in each["kernels"]),
            tuple(
                tuple(None if source is None else (source[0], source[1]) for source in own)
                for own in each["sources"]
            ),
            each["calibrates"],
        )
        for each in lines
    )


def anchors(runtime: KernelRuntime, count: int) -> list[KnownNetwork]:
    """As many networks as given: three quarters of as many families as there are, then those with
    the least work, which tell what is not in proportion to it."""
    by_family: dict[str, list[KnownNetwork]] = defaultdict(list)
    for network in known_networks(runtime):
        if network.calibrates:
            by_family[network.family].append(network)
    in_turn = [n for n in chain.from_iterable(zip_longest(*by_family.values())) if n is not None]
    first = count - count // 4
    smallest = sorted(in_turn[first:], key=lambda network: sum(k.macs for k in network.kernels))
    return [*in_turn[:first], *smallest[: count // 4]]


def prior(runtime: KernelRuntime) -> Counter[Kernel]:
    """How often each kernel is in the networks, and in pieces that were drawn, of those that run
    alone. Operators that few of them have are in it with other sizes, too."""
    counts = Counter(kernel for network in known_networks(runtime) for kernel in network.kernels)
    _, first = next(files.read_lines(collected(runtime)))
    counts.update(Kernel.parse(key) for key in first["drawn"])
    for key in first["not_alone"]:
        del counts[Kernel.parse(key)]
    alike: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in sorted(counts):
        if kernel.name in LINKED and not kernel.op.startswith(OPENVINO):  # whose names tell more
            alike[kernel.variant].append(kernel)
    random = np.random.default_rng(SEED)
    for found in alike.values():
        for number in range(len(found), FEW):
            counts[resized(found[number % len(found)], random)] += 1
    return counts


def resized(kernel: Kernel, random: np.random.Generator) -> Kernel:
    """The kernel with other sizes, up to twice as large or small; equal ones stay equal."""
    tensors = [each for each in (*kernel.inputs, *kernel.outputs) if each and not each.values]
    new = {1: 1}
    for size in sorted({size for each in tensors for size in each.shape} - {1}):
        step = next(step for step in (16, 4, 1) if size % step == 0)
        new[size] = max(step, round(size * 2 ** random.uniform(-1, 1) / step) * step)

    def of(tensor: Tensor) -> Tensor:
        if tensor.values:  # axes stay axes
            return tensor
        return replace(tensor, shape=tuple(new[size] for size in tensor.shape))

    inputs = tuple(None if each is None else of(each) for each in kernel.inputs)
    return replace(kernel, inputs=inputs, outputs=tuple(of(each) for each in kernel.outputs))


def to_lines(
    source: str,
    networks: Sequence[KnownNetwork],
    drawn: Sequence[Kernel],
    not_alone: Sequence[Kernel],
) -> Iterator[object]:
    """What the file has: each kernel once, those that were drawn, then the networks."""
    kernels = (kernel.key for network in networks for kernel in network.kernels)
    places = {key: place for place, key in enumerate(dict.fromkeys(kernels))}
    yield {
        "source": source,
        "not_alone": [kernel.key for kernel in not_alone],
        "kernels": list(places),
        "drawn": [kernel.key for kernel in drawn],
    }
    for each in networks:
        own = [places[kernel.key] for kernel in each.kernels]
        header = {"family": each.family, "name": each.name, "calibrates": each.calibrates}
        yield header | {"kernels": own, "sources": each.sources}
