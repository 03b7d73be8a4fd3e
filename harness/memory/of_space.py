"""SRAM and flash of all networks of a space, for whole populations."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.memory.needs import (
    FILE,
    INTERPRETER,
    flash_of,
    in_place_of,
    kept_bytes,
)
from harness.memory.parts import Part, head_of, part_of
from harness.spaces.block import Block
from harness.spaces.cost import CostTable, Floats
from harness.spaces.genome import Genomes
from harness.spaces.space import Space

Needs = tuple[Callable[[Genomes], Floats], float, Genomes]
"""Bytes of each network, [n]; the least that there is, and a row of a network that has it."""


def in_place(space: Space) -> Needs:
    """SRAM of maps where depthwise convolutions work in place."""
    peaks = CostTable.of(space, in_place_of, peak=True)
    return peaks.total, *peaks.cheapest()


def flash(space: Space) -> Needs:
    """Of the .tflite file."""
    parts = CostTable.of(space, flash_of)
    least, row = parts.cheapest()
    return lambda genomes: parts.total(genomes) + FILE, least + FILE, row


def tflite_micro(space: Space) -> Needs:
    """TFLite Micro's arena. The least is that of the network with the fewest bytes alive at once,
    or of that which the interpreter keeps least of: in a space whose choices all grow, the same."""
    arenas = _Arenas(space)
    alive = CostTable.of(space, lambda block: part_of(block).alive_bytes, peak=True)
    rows = np.stack([alive.cheapest()[1], arenas.kept.cheapest()[1]])
    found = arenas.total(rows)
    return arenas.total, float(found.min()), rows[found.argmin()]


@dataclass(frozen=True)
class _Arenas:
    """Arenas of the networks of a space; each different plan is made once."""

    space: Space
    _heads: dict[bytes, int] = field(default_factory=dict)  # by numbers of parts
    _numbers: dict[Part, int] = field(default_factory=dict)  # 0: a place that is left out

    @cached_property
    def kept(self) -> CostTable:
        return CostTable.of(self.space, kept_bytes)

    @cached_property
    def _parts(self) -> CostTable:
        """Many blocks are the same part: a kernel's size decides no map that is not padded."""

        def number(block: Block) -> int:
            return self._numbers.setdefault(part_of(block), 1 + len(self._numbers))

        return CostTable.of(self.space, number)

    def total(self, genomes: Genomes) -> Floats:
        rows = self._parts.by_place(genomes).astype(np.int32)
        heads = np.array([self._head(row) for row in rows], dtype=float)
        return heads + self.kept.total(genomes) + INTERPRETER

    def _head(self, row: "np.ndarray[tuple[int], np.dtype[np.int32]]") -> int:
        key = row.tobytes()
        if key not in self._heads:
            self._heads[key] = head_of([self._all[number - 1] for number in row if number])
        return self._heads[key]

    @cached_property
    def _all(self) -> list[Part]:
        return list(self._numbers)
