"""Blocks' parts of networks as rows to publish: times above zero, with the same sums.

A part can be below zero: a block inside a network saves the call that it pays alone, and a map that
stays where it is costs less than that. The calibration's offset is no block's at all. Rows of a
place that every network has once can all rise by what those of another fall.
"""

from collections.abc import Mapping

from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.space import Space

SHORTEST_NS = 1.0


def above_zero(space: Space, parts: Mapping[Block, float], offset: float) -> dict[Block, float]:
    """Rows of the space's blocks whose sums over networks are those of `parts` and the offset; ns.

    A layer that networks may leave out and that costs them less than nothing has the shortest time:
    adding a row shortens no sum, so that theirs come out too long by what it saves.

    Raises:
        TableError: what all networks have in common takes less than nothing.
    """
    rows = {block: max(SHORTEST_NS, parts[block]) for block in space.distinct_blocks()}
    always = [(count, blocks) for count, blocks in _groups(space) if count]
    spare = [min(parts[block] for block in blocks) - SHORTEST_NS for _, blocks in always]
    most = sum(count * max(0.0, s) for (count, _), s in zip(always, spare, strict=True))
    lent = sum(count * max(0.0, -s) for (count, _), s in zip(always, spare, strict=True))
    stems = tuple(space.blocks_at(0))  # one a resolution; what others are lent is taken from them
    lacking = max(0.0, SHORTEST_NS + lent - offset - min(parts[stem] for stem in stems))
    if lacking > most:
        raise TableError(
            f"what all networks of {space.name} have in common takes less than nothing by this "
            "table: it cannot be told in rows above zero; repeat with `harness measure --fresh`"
        )
    rest = offset
    for (count, blocks), own in zip(always, spare, strict=True):
        lift = -own if own < 0 else -own * lacking / (most or 1.0)
        rows |= {block: parts[block] + lift for block in blocks}
        rest -= count * lift
    return rows | {stem: parts[stem] + rest for stem in stems}


def _groups(space: Space) -> list[tuple[int, set[Block]]]:
    """The places behind the first that share blocks: how many there are, and the blocks.

    0 where networks may leave some of them out.
    """
    groups: list[tuple[int, bool, set[Block]]] = []
    for index, place in enumerate(space.places[1:], start=1):
        count, kept = 1, place.depth is None or not place.from_choice
        blocks = set(space.blocks_at(index))
        for other in [group for group in groups if group[2] & blocks]:
            groups.remove(other)
            count, kept, blocks = count + other[0], kept and other[1], blocks | other[2]
        groups.append((count, kept, blocks))
    return [(count if kept else 0, blocks) for count, kept, blocks in groups]
