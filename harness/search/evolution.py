"""The most accurate network under a latency constraint, by evolution (as in the OFA paper)."""

from collections.abc import Callable

import numpy as np

from harness.search.objectives import Found, Objectives
from harness.search.variation import cross, mutate
from harness.spaces.genome import Genomes, sample

POPULATION, PARENTS = 100, 25
_ATTEMPTS = 50  # batches of children before what fits so far has to do


def evolve(
    objectives: Objectives, max_latency_ms: float, generations: int = 100, seed: int = 0
) -> Found:
    """The best network found, one row.

    Each generation keeps the best quarter and fills up with their mutants and crosses that meet
    the constraint.

    Raises:
        InfeasibleConstraint: none can meet it; the smallest achievable latency is named.
    """
    objectives.check_feasible(max_latency_ms)
    rng = np.random.default_rng(seed)
    space = objectives.space

    def fill(make: Callable[[int], Genomes], wanted: int) -> Genomes:
        """`wanted` networks that meet the constraint, the smallest standing in for missing ones."""
        kept = [objectives.smallest[None]]
        for _ in range(_ATTEMPTS):
            rows = make(2 * wanted)
            kept.append(rows[objectives.latency_ms(rows) <= max_latency_ms])
            if sum(map(len, kept)) > wanted:
                break
        return np.concatenate(kept)[:wanted]

    population = fill(lambda count: sample(space, count, rng), POPULATION)
    for _ in range(generations):
        best = population[np.argsort(-objectives.accuracy(population), kind="stable")[:PARENTS]]

        def children(count: int, best: Genomes = best) -> Genomes:
            pairs = best[rng.integers(0, len(best), (2, count))]
            half = count // 2
            mutants = mutate(space, pairs[0, :half], rng)
            return np.concatenate([mutants, cross(space, pairs[0, half:], pairs[1, half:], rng)])

        population = np.concatenate([best, fill(children, POPULATION - PARENTS)])
    accuracy = objectives.accuracy(population)
    winner = population[[int(accuracy.argmax())]]
    return Found(winner, objectives.latency_ms(winner), objectives.accuracy(winner))
