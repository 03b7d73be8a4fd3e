"""TFLite Micro's memory planner: where in one arena the maps of a network come to lie.

`GreedyMemoryPlanner` of tflite-micro (`micro/memory_planner/greedy_memory_planner.cc`), which all
its interpreters use where a file brings no plan of its own.
"""

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 16  # bytes; each buffer takes a multiple


class Buffer(NamedTuple):
    """A map, or what an operator asks for while it runs."""

    size_bytes: int
    first: int  # operators from which to which it is alive, both included
    last: int


def rounded_up(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def arena_bytes(buffers: Sequence[Buffer]) -> int:
    """What the planner takes for them, in bytes; they come in the order of the file's tensors.

    The largest is placed first (of equal ones the last), each as low as the placed ones that are
    alive with it leave room: a network may take more than is ever alive at once.
    """
    sizes = [rounded_up(buffer.size_bytes) for buffer in buffers]
    placed: list[tuple[int, int, int, int]] = []  # start, end, first, last: the lowest first
    highest = 0
    for index in sorted(range(len(buffers)), key=lambda index: (-sizes[index], -index)):
        size, (_, first, last) = sizes[index], buffers[index]
        start = 0
        for other_start, other_end, other_first, other_last in placed:
            if other_first > last or first > other_last:
                continue
            if other_start - start >= size:
                break
            start = max(start, other_end)
        end = start + size
        highest = max(highest, end)
        insort(placed, (start, end, first, last))
    return highest


def alive_bytes(buffers: Sequence[Buffer]) -> int:
    """The most that is alive at once: no planner takes less."""
    sizes = [rounded_up(buffer.size_bytes) for buffer in buffers]
    changes: dict[int, int] = {}
    for size, buffer in zip(sizes, buffers, strict=True):
        changes[buffer.first] = changes.get(buffer.first, 0) + size
        changes[buffer.last + 1] = changes.get(buffer.last + 1, 0) - size
    most = now = 0
    for time in sorted(changes):
        now += changes[time]
        most = max(most, now)
    return most
