"""A network as the kernels that a runtime executes."""

from dataclasses import dataclass
from typing import Any, Self

from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_torch import ALIAS

_NUMBER_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2}

Source = tuple[int, int] | None
"""What an input of a kernel is: the output of a step, by its place and the output's; None: nothing
that another kernel makes."""


@dataclass(frozen=True)
class Step:
    """One kernel of a network."""

    name: str  # the file's, as other programs show it
    kernel: Kernel
    sources: tuple[Source, ...]  # of each of its inputs


@dataclass(frozen=True)
class Graph:
    """In the order of execution; what only renames memory is left out."""

    steps: tuple[Step, ...]

    def to_json(self) -> list[Any]:
        """A list for each step, without what follows from others."""
        return [[step.name, step.kernel.key, step.sources] for step in self.steps]

    @classmethod
    def from_json(cls, value: list[Any]) -> Self:
        """What `to_json` gave."""
        return cls(
            tuple(
                Step(name, Kernel.parse(key), tuple(each and (each[0], each[1]) for each in own))
                for name, key, own in value
            )
        )

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return tuple(step.kernel for step in self.steps)

    @property
    def sources(self) -> tuple[tuple[Source, ...], ...]:
        return tuple(step.sources for step in self.steps)

    @property
    def peak_activations_bytes(self) -> int:
        """What is alive at once, at most, kernel by kernel, each output until its last use."""
        memory: dict[Source, Source] = {}  # of outputs that are another's
        last: dict[Source, int] = {}
        for place, step in enumerate(self.steps):
            sources = [memory.get(source, source) for source in step.sources]
            last |= dict.fromkeys(sources, place)
            if (alias := step.kernel.settings.get(ALIAS)) is not None:
                outputs = range(len(step.kernel.outputs))
                memory |= {(place, number): sources[int(alias)] for number in outputs}
        alive, peak = 0, 0
        ends: dict[int, int] = {}  # bytes that are free after a step
        for place, step in enumerate(self.steps):
            for number, output in enumerate(step.kernel.outputs):
                if (place, number) in memory:
                    continue
                alive += _bytes(output)
                end = last.get((place, number), len(self.steps))
                ends[end] = ends.get(end, 0) + _bytes(output)
            peak = max(peak, alive)
            alive -= ends.pop(place, 0)
        return peak


def _bytes(tensor: Tensor) -> int:
    return tensor.size * _NUMBER_BYTES.get(tensor.dtype, 1)
