"""What the values of an input decide: which rows are picked, how much is computed, or nothing.

Values are followed from operator to operator, until they are a matter of arithmetic alone: what a
convolution takes as long for whatever its numbers are.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Operation:
    """One operator; also of branches and loops, whose tensors have names of their own."""

    kind: str  # with a dot in it where it is none of the format's own
    inputs: tuple[str, ...]  # names of tensors, "" for what is left out
    outputs: tuple[str, ...]
    axis: int = 0  # of what is picked from, where it picks


@dataclass(frozen=True)
class Rules:
    """A format's operators."""

    picking: Mapping[str, tuple[int, int]]  # which input is picked from, and which is the index
    steering: Mapping[str, Container[int]]  # which inputs decide how much is computed
    moving: frozenset[str]  # values come out as they were
    changing: frozenset[str]  # values come out as others; of all other operators, as data


@dataclass(frozen=True)
class Use:
    """Of an input's values."""

    steers: str = ""  # the operator that computes more or less by them, or may do so
    below: int | None = None  # the fewest rows that they pick from; None: they are no index


@dataclass(frozen=True)
class Graph:
    operations: Sequence[Operation]
    sizes: Mapping[str, Sequence[int]]  # of tensors, where the file fixes them
    rules: Rules

    def use_of(self, tensor: str) -> Use:
        waiting, seen, rows = [(tensor, True)], set(), []
        while waiting:
            value = name, unchanged = waiting.pop()
            if value in seen:
                continue
            seen.add(value)
            for operation, position in self._readers[name]:
                kind, rules = operation.kind, self.rules
                if "." in kind or position in rules.steering.get(kind, ()):
                    return Use(kind)
                source, index = rules.picking.get(kind, (None, None))
                if position == index:
                    count = self._rows(operation, source)
                    if unchanged and count is None:
                        return Use(kind)
                    rows += [count] if unchanged and count is not None else []
                elif kind in rules.moving or position == source:
                    waiting += [(output, unchanged) for output in operation.outputs]
                elif kind in rules.changing:
                    waiting += [(output, False) for output in operation.outputs]
        return Use(below=min(rows, default=None))

    @cached_property
    def _readers(self) -> Mapping[str, Sequence[tuple[Operation, int]]]:
        found = defaultdict(list)
        for operation in self.operations:
            for position, name in enumerate(operation.inputs):
                found[name].append((operation, position))
        return found

    def _rows(self, operation: Operation, source: int | None) -> int | None:
        """How many there are to pick from; None where the file does not tell."""
        sizes = self.sizes.get(operation.inputs[source or 0], ())
        known = -len(sizes) <= operation.axis < len(sizes) and sizes[operation.axis] > 0
        return sizes[operation.axis] if known else None
