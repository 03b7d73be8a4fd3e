"""Networks of blocks as TFLite Micro's planner sees them: each block's part is made once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.memory.arena import Buffer, alive_bytes, arena_bytes, rounded_up
from harness.memory.operators import graph_of
from harness.spaces.block import Block


@dataclass(frozen=True)
class Part:
    """One block of a network; sizes are rounded up as the planner does."""

    maps: tuple[Buffer, ...]  # the first is its input, the last its output
    scratch: tuple[Buffer, ...]  # what its kernels ask for while they run
    operators: int
    alive_bytes: int  # the most at once
    reaches: tuple[int, ...]
    """Below which end each of its buffers lies, wherever the others of the part are placed: below
    them all, and a gap before each that it just did not fit into."""


@lru_cache(maxsize=1 << 16)
def part_of(block: Block) -> Part:
    graph = graph_of(block)
    buffers = [each._replace(size_bytes=rounded_up(each.size_bytes)) for each in graph.buffers]
    maps = len(graph.sizes_bytes)
    return Part(
        tuple(buffers[:maps]),
        tuple(buffers[maps:]),
        len(graph.operators),
        alive_bytes(buffers),
        tuple(_reach(each, buffers) for each in buffers),
    )


def _reach(buffer: Buffer, buffers: Sequence[Buffer]) -> int:
    beside = [
        each.size_bytes
        for each in buffers
        if each.first <= buffer.last and buffer.first <= each.last
    ]
    return sum(beside) + len(beside) * buffer.size_bytes


def head_of(parts: Sequence[Part]) -> int:
    """What TFLite Micro plans for the network's maps, bytes, exactly.

    Buffers that cannot lie above what is alive at once anyway raise nothing; and the planner places
    those that are smaller than all others after them. They are most, and left out.
    """
    alive = max(part.alive_bytes for part in parts)
    sizes = [size for size, reach in _reaches(parts) if reach > alive]
    if not sizes:
        return alive
    smallest = min(sizes)
    kept = [each for each in buffers_of(parts) if each.size_bytes >= smallest]
    return max(alive, arena_bytes(kept))


def _reaches(parts: Iterable[Part]) -> Iterator[tuple[int, int]]:
    """Size and reach of every buffer; a map between two blocks lies beside those of both."""
    between = 0
    for part in parts:
        buffers = part.maps + part.scratch
        for number, (buffer, reach) in enumerate(zip(buffers, part.reaches, strict=True)):
            if number == len(part.maps) - 1:
                continue
            yield buffer.size_bytes, reach + (between if number == 0 else 0)
        between = part.reaches[len(part.maps) - 1]
    yield part.maps[-1].size_bytes, between


def buffers_of(parts: Iterable[Part]) -> list[Buffer]:
    """The network's maps, in the order of its file; what kernels ask for comes last."""
    maps: list[Buffer] = []
    scratch: list[Buffer] = []
    time = 0
    for part in parts:
        begin = part.maps[0]
        if maps:  # what one block puts out is what the next one takes
            begin = maps.pop()._replace(last=time + begin.last)
        maps.append(begin)
        maps += [Buffer(size, time + first, time + last) for size, first, last in part.maps[1:]]
        scratch += [Buffer(size, time + first, time + last) for size, first, last in part.scratch]
        time += part.operators
    return maps + scratch
