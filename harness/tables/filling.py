"""Blocks that nobody visits, filled in from those that somebody did.

The physical model tells most of a block's time. What is left varies smoothly with the block's
numbers, so that neighbours tell it: a Gaussian process over logarithms (kriging; Rasmussen and
Williams 2006, chapter 2). Its constants are the same for every device; how far off it is on one is
told by ten fits, each without a tenth of the visited blocks.

Which blocks are visited is decided beforehand, one after the other: that which makes the times of
random networks surest, until what is left out may add no more than asked for to their error.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, sqrt

import numpy as np
import numpy.typing as npt

from harness.spaces.block import Block
from harness.spaces.demands import Assumptions, assumed_for
from harness.spaces.genome import decode_all, sample
from harness.spaces.space import Space
from harness.tables.conformal import bound
from harness.tables.physical import fit_costs, log_latency

Floats = npt.NDArray[np.float64]
FEWEST = 200  # blocks of a space: of smaller ones all are visited, which takes no minute
FEWEST_VISITED = 20  # blocks that a fit takes
# Logarithms that the physical model is off by: standard deviation, how far blocks' numbers (as
# logarithms) may differ and still be neighbours, and what an unlike word counts in that distance.
_NEAR, _FAR = (0.15, 1.0, 3.0), (0.10, 3.0, 0.5)
_NOISE = 0.02  # of a visited block's time
NORMAL90 = 1.645  # standard deviations that hold 90 %
_FOLDS = 10
_NETWORKS, _SEED = 200, 303  # random ones, that visited blocks are chosen for


@dataclass(frozen=True)
class Choice:
    """The blocks of a space that are to be visited."""

    visited: tuple[Block, ...]
    left_out: tuple[Block, ...]
    error: float  # standard deviation of networks' times for what is left out, relative


@dataclass(frozen=True)
class Filled:
    """A block that was not visited."""

    value: float  # in the unit of those that were
    log_error: float  # 95 % of blocks lie within exp(+-log_error) of it

    @property
    def interval(self) -> tuple[float, float]:
        return self.value * exp(-self.log_error), self.value * exp(self.log_error)


def typical_error(filled: Iterable[Filled]) -> float:
    """How far the middle one's interval goes up, relative; 0 of none."""
    return float(np.expm1(np.median([each.log_error for each in filled] or [0.0])))


def choose(space: Space, most: float, odd: float = 1.0, known: Sequence[Block] = ()) -> Choice:
    """Blocks to visit, so that all others are expected to add at most so much to networks' error.

    most: relative standard deviation of random networks' times; 0: all are visited. `odd`: how many
    times less alike than usual the device's blocks are. `known`: blocks that are visited anyway.
    """
    blocks = space.distinct_blocks()
    if not most or len(blocks) < FEWEST:
        return Choice(blocks, (), 0.0)
    shares, kernel = _shares(space, blocks), odd**2 * _kernel(blocks, blocks)
    # What is not yet known: `kernel` less the products of `explained`; of it what networks see.
    unknown, seen = np.diag(kernel), shares @ kernel
    explained = np.zeros((len(blocks), 0))
    squares = float(np.einsum("ij,ij->", seen, shares)) / len(shares)
    chosen: list[int] = []
    first = [number for number, block in enumerate(blocks) if block in set(known)]
    while len(chosen) < len(blocks):
        gain = (seen**2).sum(axis=0) / (unknown + _NOISE**2)
        gain[chosen] = -1.0
        if len(chosen) < len(first):
            best = first[len(chosen)]
        elif squares > most**2 or len(chosen) < FEWEST_VISITED:
            best = int(gain.argmax())
        else:
            break
        chosen.append(best)
        column = kernel[:, best] - explained @ explained[best]
        column /= sqrt(unknown[best] + _NOISE**2)
        squares -= float(gain[best]) / len(shares)
        seen = seen - np.outer(shares @ column, column)
        unknown = unknown - column**2
        explained = np.column_stack([explained, column])
    left = [number for number in range(len(blocks)) if number not in set(chosen)]
    # What visited blocks are off by is no matter of leaving out.
    rest = kernel[np.ix_(left, left)] - explained[left] @ explained[left].T
    error = np.einsum("ij,jk,ik->i", shares[:, left], rest, shares[:, left])
    return Choice(
        tuple(blocks[number] for number in sorted(chosen)),
        tuple(blocks[number] for number in left),
        sqrt(max(0.0, float(error.mean()))),
    )


def _shares(space: Space, blocks: Sequence[Block]) -> Floats:
    """How much of a random network's time a block is expected to take, [networks, blocks].

    Whether launching or working is what takes long is not known before: it is half of each.
    """
    columns = {block: number for number, block in enumerate(blocks)}
    drawn = sample(space, _NETWORKS, np.random.default_rng(_SEED))
    counts = np.zeros((len(drawn), len(blocks)))
    for row, arch in enumerate(decode_all(space, drawn)):
        for block in space.blocks(arch):
            counts[row, columns[block]] += 1
    assumed = assumed_for(blocks[0])
    demanded = np.array([assumed.demands(block) for block in blocks])
    launches = len(assumed.launch)
    found = np.zeros_like(counts)
    for asked, costs in (
        (demanded[:, :launches], assumed.launch),
        (demanded[:, launches:], assumed.work),
    ):
        times = counts * (asked @ np.array(costs))
        found += times / times.sum(axis=1, keepdims=True) / 2
    return found


@lru_cache(maxsize=16)  # a table is asked for its blocks many times
def fill(
    visited: tuple[tuple[Block, float], ...], wanted: tuple[Block, ...]
) -> dict[Block, Filled]:
    """Times of the blocks `wanted`, from visited ones with theirs; none where those are too few."""
    if not wanted or len(visited) < FEWEST_VISITED:
        return {}
    neighbours = _Neighbours.of(visited)
    found, sd = neighbours.predict(wanted)
    errors = bound(_left_out(visited)) * sd
    return {
        block: Filled(exp(value), float(error))
        for block, value, error in zip(wanted, found, errors, strict=True)
    }


def oddness(visited: Sequence[tuple[Block, float]]) -> float:
    """How many times less alike than usual a device's blocks are, by those visited; at least 1.

    By what 90 % of them stay below: single ones may have been measured badly.
    """
    if len(visited) < FEWEST_VISITED:
        return 1.0
    return max(1.0, float(np.quantile(np.abs(_left_out(visited)), 0.9)) / NORMAL90)


def _left_out(visited: Sequence[tuple[Block, float]]) -> Floats:
    """Each block's error by fits that had not seen it, in standard deviations expected, [n]."""
    errors = np.empty(len(visited))
    for fold in range(_FOLDS):
        out = range(fold, len(visited), _FOLDS)
        others = _Neighbours.of([each for n, each in enumerate(visited) if n not in out])
        found, sd = others.predict([visited[number][0] for number in out])
        errors[out] = (np.log([visited[number][1] for number in out]) - found) / sd
    return errors


@dataclass(frozen=True)
class _Neighbours:
    """Visited blocks, what they took, and what that tells of others."""

    blocks: Sequence[Block]
    model: "_Physical"
    surprise: Floats  # [blocks], logarithms beyond the model
    inverse: Floats  # of the surprises' covariance

    @classmethod
    def of(cls, visited: Sequence[tuple[Block, float]]) -> "_Neighbours":
        blocks = [block for block, _ in visited]
        values = np.log([value for _, value in visited])
        model = _Physical.of(blocks, values)
        covariance = _kernel(blocks, blocks) + _NOISE**2 * np.eye(len(blocks))
        inverse = np.asarray(np.linalg.inv(covariance), dtype=float)
        return cls(blocks, model, values - model.predict(blocks), inverse)

    def predict(self, blocks: Sequence[Block]) -> tuple[Floats, Floats]:
        """Logarithms and their expected standard deviations, [n] each."""
        across = _kernel(blocks, self.blocks)
        found = self.model.predict(blocks) + across @ self.inverse @ self.surprise
        explained = np.einsum("ij,jk,ik->i", across, self.inverse, across)
        variance = _NEAR[0] ** 2 + _FAR[0] ** 2 - explained
        return found, np.sqrt(np.maximum(variance, 0.0) + _NOISE**2)


@dataclass(frozen=True)
class _Physical:
    assumed: Assumptions
    costs: Floats

    @classmethod
    def of(cls, blocks: Sequence[Block], logarithms: Floats) -> "_Physical":
        """The variant that single blocks [n] suggest."""
        assumed = assumed_for(blocks[0])
        variants = [replace(assumed, sharpness=(sharpness,)) for sharpness in assumed.sharpness]
        demanded = np.array([assumed.demands(block) for block in blocks])
        models = [cls(each, fit_costs(demanded, logarithms, each)) for each in variants]
        return min(models, key=lambda each: float(np.abs(each.predict(blocks) - logarithms).mean()))

    def predict(self, blocks: Sequence[Block]) -> Floats:
        """Logarithms, [n]."""
        demanded = np.array([self.assumed.demands(block) for block in blocks])
        return log_latency(demanded * self.costs, self.assumed)[0]


def _kernel(some: Sequence[Block], others: Sequence[Block]) -> Floats:
    """What two blocks' surprises have in common, [some, others]."""
    names = sorted({name for block in (*some, *others) for name in block.spec})
    distance = np.zeros((len(some), len(others)))
    unlike = np.zeros_like(distance)
    for name in names:
        rows, columns = ([block.spec.get(name) for block in each] for each in (some, others))
        words = [list(_words(values)) for values in (rows, columns)]
        unlike += np.array(words[0])[:, None] != np.array(words[1])
        numbers = [np.array(list(_logarithms(values))) for values in (rows, columns)]
        distance += (numbers[0][:, None] - numbers[1]) ** 2
    parts = (
        sd**2 * np.exp(-(distance / length**2 + word * unlike) / 2)
        for sd, length, word in (_NEAR, _FAR)
    )
    return np.asarray(sum(parts))


def _words(values: Sequence[object]) -> Iterator[str]:
    """What is a word in them; of numbers whether there are any."""
    for value in values:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        yield str(value > 0) if is_number else str(value)  # type: ignore[operator]


def _logarithms(values: Sequence[object]) -> Iterator[float]:
    for value in values:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        yield float(np.log(max(1, value))) if is_number else 0.0  # type: ignore[call-overload]
