"""The maps of a network and the operators that read and write them, in the order of their run."""

from dataclasses import dataclass

from harness.memory.arena import Buffer

INT_BYTES = 4  # of an accumulator, and of an index

NEVER = -1  # when a map that no operator touches is alive


@dataclass(frozen=True)
class Operator:
    """One operator; maps are known by their numbers."""

    kind: str  # as TFLite calls it
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scratch_bytes: tuple[int, ...] = ()  # what its kernel asks for while it runs
    weights: int = 0
    channels: int = 0  # of its output, where each has a scale and a bias of its own


@dataclass(frozen=True)
class Graph:
    """A network, or a part of one."""

    sizes_bytes: tuple[int, ...]  # of the maps; 0 of what lies elsewhere
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def buffers(self) -> list[Buffer]:
        """As tflite-micro plans them: the maps, then what the kernels ask for.

        The network's inputs are there before its first operator, which runs at 1.
        """
        first, last = [NEVER] * len(self.sizes_bytes), [NEVER] * len(self.sizes_bytes)
        scratch = []
        for each in (*self.inputs, *self.outputs):
            first[each] = last[each] = 0
        for time, operator in enumerate(self.operators, start=1):
            for each in operator.outputs:
                first[each] = last[each] = time
            for each in operator.inputs:
                last[each] = time
            scratch += [Buffer(size, time, time) for size in operator.scratch_bytes]
        for each in self.outputs:
            last[each] = len(self.operators)
        maps = zip(self.sizes_bytes, first, last, strict=True)
        return [*(Buffer(*each) for each in maps if each[0]), *scratch]
