"""A family of networks: what may vary, and the blocks that each choice makes.

A space is a row of places, from input to output. Which block stands at a place follows from a few
genes: the resolution, a kernel, heads, a width; a depth gene may leave it out. All else (rows
of genomes, cost tables, the supernet) is made from that, for any family.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from operator import attrgetter
from typing import Generic, Self

from typing_extensions import TypeVar

from harness.errors import UsageError
from harness.spaces.arch import PARTS, Arch, Number, spoken
from harness.spaces.block import Block

B_co = TypeVar("B_co", bound=Block, default=Block, covariant=True)
OFA_RESOLUTIONS = tuple(range(128, 225, 4))
"""Pixels that the OFA authors trained at."""
SMALLEST, LARGEST = 32, 1024
"""Pixels that networks of a released family run at; with fewer its last maps have nothing left."""


@dataclass(frozen=True, slots=True)
class Gene:
    """One thing that may vary: a number of an arch, and what it may be, in ascending order."""

    part: str  # of the arch, by its name in files
    index: int  # in that part
    choices: tuple[Number, ...]
    depth: int | None = None  # the depth gene that may leave it out
    from_choice: int = 0  # of that depth gene: it is there from this choice on


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block may stand."""

    stage: int | None  # None for stem and head
    genes: tuple[int, ...]  # that decide the block, ascending; the resolution is gene 0
    depth: int | None = None  # the depth gene that may leave it out
    from_choice: int = 0


class Space(ABC, Generic[B_co]):
    """A once-for-all family, as frozen data; subclasses say what its places hold."""

    name: str
    title: str
    resolutions: tuple[int, ...]  # input height and width, pixels; of text: tokens
    image_channels: int  # of text: 0
    classes: int  # of text: entries of the vocabulary
    bn_eps: float = 1e-5  # of all batch norms of the supernet
    released_at: tuple[int, ...] = ()  # resolutions of released weights; networks run at others too
    unit = "pixels"  # of resolutions
    examples = "images"  # what networks are judged on
    scored = "top-1 accuracy, %"  # what their accuracies are
    has_supernet = True  # whether `supernet` makes one
    built = True  # whether `networks` builds its networks; others are counted and searched alone

    @property
    @abstractmethod
    def genes(self) -> tuple[Gene, ...]:
        """All genes; the resolution is the first."""

    @property
    @abstractmethod
    def places(self) -> tuple[Place, ...]:
        """All places of the deepest network, in order."""

    @abstractmethod
    def block(self, place: int, values: tuple[Number, ...]) -> B_co:
        """The block at a place, for the values of its genes."""

    @property
    def runs_between(self) -> tuple[int, int]:
        """The least and the most that networks run at besides; the least is more where at none."""
        return (SMALLEST, LARGEST) if self.released_at else (1, 0)

    def at(self, resolutions: Sequence[int]) -> Self:
        """The space with these resolutions alone.

        Raises:
            UsageError: the space does not have one of them, and is none that runs at any.
        """
        for resolution in resolutions:
            if not self.runs_at(resolution):
                least, most = self.runs_between
                others = f", and runs at {least} to {most}" if least <= most else ""
                raise UsageError(
                    f"{self.name} has no resolution {resolution}; it has "
                    f"{numbers(self.resolutions)}{others}"
                )
        return replace(self, resolutions=tuple(sorted(set(resolutions))))  # type: ignore[type-var]

    def runs_at(self, resolution: int) -> bool:
        """Whether it has this resolution, or may be asked for it."""
        least, most = self.runs_between
        return least <= resolution <= most or resolution in self.resolutions

    def including(self, resolution: int) -> Self:
        """The space that has this resolution, too.

        Raises:
            UsageError: it has not, and is none that runs at any.
        """
        if resolution in self.resolutions:
            return self
        return self.at((*self.resolutions, resolution))

    @property
    def never_released_at(self) -> tuple[int, ...]:
        """Its resolutions that released weights, and accuracies of these, tell nothing of."""
        if not self.released_at:
            return ()
        return tuple(pixels for pixels in self.resolutions if pixels not in self.released_at)

    @property
    def about_resolutions(self) -> str | None:
        """What is to be known of those."""
        if not self.never_released_at:
            return None
        return (
            f"at {numbers(self.never_released_at)} pixels networks of {self.name} run and are "
            f"timed, but its weights were released for {self.released_at[0]} to "
            f"{self.released_at[-1]}: no accuracy that was released reaches there"
        )

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many choices each gene has."""
        return tuple(len(gene.choices) for gene in self.genes)

    def check(self, arch: Arch) -> None:
        """Raises UsageError where `arch` is not one of this space, naming the odd part."""
        wanted = Counter(gene.part for gene in self.genes)
        for part in dict.fromkeys((*PARTS, *wanted, *(name for name, _ in arch.others))):
            values = arch.part(part)
            if len(values) != wanted[part]:
                what = f"{wanted[part]} {spoken(part)} wanted: {values}"
                raise UsageError(f"not an arch of {self.name}: {what}")
        for gene in self.genes:
            value = arch.part(gene.part)[gene.index]
            if self.present(arch, gene) and value not in gene.choices:
                what = f"{spoken(gene.part)} {value} not in {gene.choices}"
                raise UsageError(f"not an arch of {self.name}: {what}")

    def present(self, arch: Arch, part: Gene | Place) -> bool:
        """Whether the depths of the arch leave a gene or a place in."""
        if part.depth is None:
            return True
        depth = self.genes[part.depth]
        value = arch.part(depth.part)[depth.index]
        return value in depth.choices and depth.choices.index(value) >= part.from_choice

    def active(self, arch: Arch) -> Iterator[int]:
        """The places that the arch fills."""
        return (index for index, place in enumerate(self.places) if self.present(arch, place))

    def block_of(self, place: int, arch: Arch) -> B_co:
        """The block that the arch has at a place."""
        genes = (self.genes[column] for column in self.places[place].genes)
        return self.block(place, tuple(arch.part(gene.part)[gene.index] for gene in genes))

    def blocks(self, arch: Arch) -> tuple[B_co, ...]:
        """The network, block by block, from input to output; at any resolution that it runs at."""
        space = self.including(arch.resolution) if self.runs_at(arch.resolution) else self
        space.check(arch)
        return tuple(self.block_of(place, arch) for place in self.active(arch))

    def blocks_at(self, place: int, resolutions: Sequence[int] | None = None) -> Iterator[B_co]:
        """Every block that may stand at a place; the last is the largest."""
        first, *others = (self.genes[column].choices for column in self.places[place].genes)
        for values in product(resolutions or first, *others):
            yield self.block(place, values)

    def distinct_blocks(self, resolutions: Sequence[int] | None = None) -> tuple[B_co, ...]:
        """Every block that some arch has, each once: what a latency table must hold."""
        places = range(len(self.places))
        found = {block for place in places for block in self.blocks_at(place, resolutions)}
        return tuple(sorted(found, key=attrgetter("order")))

    @cached_property
    def largest(self) -> Arch:
        """The sub-network that contains all others, at the highest resolution."""
        return Arch.of({(gene.part, gene.index): gene.choices[-1] for gene in self.genes})


def numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def width_name(width_mult: float) -> str:
    """A width multiplier in the name of a space: 1.0, 1.2, 0.35."""
    return f"{width_mult:.1f}" if round(width_mult, 1) == width_mult else f"{width_mult:g}"


def make_divisible(value: float, divisor: int) -> int:
    """Round a channel count to a multiple of `divisor`, never more than 10 % down.

    The rule of the MobileNet and OFA code; published widths depend on it.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
