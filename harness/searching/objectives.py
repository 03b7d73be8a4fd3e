"""What a search looks at: accuracy to raise, costs to keep low, limits that must be met."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.errors import InfeasibleConstraint, PredictorError
from harness.spaces.genome import Genomes, sample
from harness.spaces.space import Space
from harness.tables.statements import Statements

Floats = npt.NDArray[np.float64]
ATTEMPTS = 20_000  # random networks that are tried where the cheapest miss a limit


@dataclass(frozen=True)
class Cost:
    """A number to keep low, for whole populations; exact about the least there is."""

    name: str  # as messages call it: "latency of pixel-1"
    unit: str
    of: Callable[[Genomes], Floats]  # [n]
    least: float  # of the whole space
    cheapest: Genomes  # a row that has it
    statements: Statements = field(default_factory=dict)  # of what is predicted with an error


@dataclass(frozen=True)
class Limit:
    """A cost that must not be exceeded."""

    cost: Cost
    at_most: float

    def check(self, space: Space) -> None:
        """Raises InfeasibleConstraint, at once, where no network of the space can meet it."""
        if not math.isfinite(self.cost.least):
            raise InfeasibleConstraint(f"no network of {space.name} has a {self.cost.name}")
        if self.at_most < self.cost.least:
            raise InfeasibleConstraint(
                f"no network of {space.name} has a {self.cost.name} of {self.at_most:g} "
                f"{self.cost.unit} or less; the smallest achievable one is "
                f"{_rounded_up(self.cost.least)} {self.cost.unit}"
            )


def _rounded_up(value: float) -> float:
    """To four digits, so that asking for the number shown succeeds."""
    digits = 4 - math.ceil(math.log10(value))
    scale = 10.0**digits
    return round(math.ceil(value * scale) / scale, digits)


@dataclass(frozen=True)
class Objectives:
    """Accuracy against one cost, or two, within limits."""

    space: Space
    predicted_accuracy: Callable[[Genomes], Floats]  # percent
    cost: Cost
    second: Cost | None = None  # a front over three objectives
    limits: tuple[Limit, ...] = ()

    def accuracy(self, genomes: Genomes) -> Floats:
        """Predicted accuracy of each network, percent, [n].

        Raises:
            PredictorError: one is not a number.
        """
        values = np.asarray(self.predicted_accuracy(genomes), dtype=float)
        if values.shape != (len(genomes),) or not np.isfinite(values).all():
            raise PredictorError(
                f"the accuracy predictor gave {values.ravel()[:3]}... for {len(genomes)} networks; "
                "it must give one number for each"
            )
        return values

    def allowed(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Which networks the costs are known of, and that meet all limits, [n]."""
        fits = np.isfinite(self.cost.of(genomes))
        if self.second:
            fits &= np.isfinite(self.second.of(genomes))
        for limit in self.limits:  # each of what the ones before it leave
            fits[fits] = limit.cost.of(genomes[fits]) <= limit.at_most
        return fits

    def start(self, rng: np.random.Generator) -> Genomes:
        """Networks that meet all limits, where a search begins: the cheapest that do, or random.

        Raises:
            InfeasibleConstraint: no network can meet a limit, or none was found that meets all.
        """
        for limit in self.limits:
            limit.check(self.space)
        for cost in (self.cost, self.second):
            if cost and not math.isfinite(cost.least):
                raise InfeasibleConstraint(f"no network of {self.space.name} has a {cost.name}")
        costs = [self.cost, *([self.second] if self.second else [])]
        costs += [limit.cost for limit in self.limits]
        rows = np.unique([cost.cheapest for cost in costs], axis=0)
        rows = rows[self.allowed(rows)]
        if not len(rows):
            drawn = sample(self.space, ATTEMPTS, rng)
            rows = drawn[self.allowed(drawn)][:1]
        if not len(rows):
            wanted = ", ".join(
                f"{limit.cost.name} {limit.at_most:g} {limit.cost.unit}" for limit in self.limits
            )
            wanted = wanted or f"known {self.cost.name} and other objective"
            raise InfeasibleConstraint(
                f"found no network of {self.space.name} that meets all of these at once, among the "
                f"cheapest and {ATTEMPTS} random ones: {wanted}; allow more of one"
            )
        return rows


@dataclass(frozen=True)
class Found:
    """Networks with what was predicted of them, in order of rising cost."""

    genomes: Genomes  # [n, genes]
    cost: Floats  # [n]
    accuracy: Floats  # [n], percent
