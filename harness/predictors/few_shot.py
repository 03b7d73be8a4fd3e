"""Latency of any network of a space from a few whole networks measured, by a physical model.

A network has two times: that of launching its kernels one by one, which is all of it where the
device waits for them (a GPU at batch 1), and that of working through them, which is all of it
where the device is busy (a GPU at batch 64, a phone's CPU). It takes the longer of them on a GPU,
which launches while it works, and their sum on a CPU, which cannot. Each is a sum over blocks. How
costs compare is known roughly before anything is measured; measurements correct it.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.cost import CostTable
from harness.spaces.demands import Assumptions, assumed_of
from harness.spaces.genome import Genomes, decode_all
from harness.spaces.space import Space
from harness.tables.conformal import bound
from harness.tables.physical import fit_costs, log_latency, longer
from harness.tables.statements import Statement, Statements, error_facts

Floats = npt.NDArray[np.float64]
FEWEST = 10  # networks that a fit takes
_FOLDS = 10


@dataclass(frozen=True)
class FewShotPredictor:
    """The fitted model, for whole populations at once."""

    launch: CostTable  # ms
    work: CostTable  # ms
    sharpness: float
    networks: int  # measured
    statements: Statements
    surprise: Floats  # [networks], logarithms of predicted to measured, by fits without them

    def predict(self, genomes: Genomes) -> Floats:
        """Predicted latency of each network, [n]."""
        parts = np.stack([self.launch.total(genomes), self.work.total(genomes)], axis=1)
        return np.exp(longer(np.log(parts), self.sharpness))

    def smallest(self) -> tuple[float, Genomes]:
        """The lowest latency that any network of the space has, ms, and that network's row.

        A network with the least work has the fewest layers, and so the fewest launches too.
        """
        _, genome = self.work.cheapest()
        return float(self.predict(genome[None])[0]), genome

    def describe(self) -> str:
        return (
            f"a physical model fitted to {self.networks} whole networks: "
            f"95 % of others are expected within {self.statements['full'].relative_error:.0%}"
        )

    def facts(self) -> dict[str, Any]:
        return {
            "networks": self.networks,
            "sharpness": self.sharpness,
            "rests_on": self.describe(),
        } | error_facts(self.statements)


def fit(
    space: Space, genomes: Genomes, measured_ms: Floats, assumed: Assumptions | None = None
) -> FewShotPredictor:
    """The model that measured networks [n] suggest, and its error on those left out of ten fits.

    Any networks do, such as `genome.sample` draws. `assumed`: what is believed of every device;
    None: of the space's blocks.

    Raises:
        TableError: they are fewer than ten, or a latency is not a number above 0.
    """
    networks = [space.blocks(arch) for arch in decode_all(space, genomes)]
    return fit_networks(space, networks, measured_ms, assumed)


def fit_networks(
    space: Space,
    networks: Sequence[Sequence[Block]],
    measured_ms: Floats,
    assumed: Assumptions | None = None,
) -> FewShotPredictor:
    """The same from networks' blocks: they may be of sizes that the space does not have.

    Raises:
        TableError: they are fewer than ten, or a latency is not a number above 0.
    """
    check_measured(networks, measured_ms, FEWEST)
    assumed = assumed or assumed_of(space)
    demanded = lru_cache(maxsize=None)(assumed.demands)
    counts = np.array([np.sum([demanded(b) for b in blocks], axis=0) for blocks in networks])
    measured = np.log(measured_ms)
    tried = [replace(assumed, sharpness=(sharpness,)) for sharpness in assumed.sharpness]
    surprises = [_left_out(counts, measured, variant) for variant in tried]
    best = int(np.argmin([np.abs(surprise).mean() for surprise in surprises]))
    assumed, surprise = tried[best], surprises[best]
    costs = fit_costs(counts, measured, assumed)
    launches = np.arange(len(costs)) < len(assumed.launch)
    return FewShotPredictor(
        CostTable.of(space, lambda block: float(demanded(block) @ (costs * launches))),
        CostTable.of(space, lambda block: float(demanded(block) @ (costs * ~launches))),
        assumed.sharpness[0],
        len(measured),
        {"full": Statement("full", 1.0, bound(surprise))},
        surprise,
    )


def _left_out(counts: Floats, measured: Floats, assumed: Assumptions) -> Floats:
    """Predicted minus measured logarithm of each network [n], by fits that had not seen it."""
    fold = np.arange(len(measured)) % _FOLDS
    surprise = np.empty(len(measured))
    for out in (fold == number for number in range(_FOLDS)):
        costs = fit_costs(counts[~out], measured[~out], assumed)
        surprise[out] = log_latency(counts[out] * costs, assumed)[0] - measured[out]
    return surprise


def check_measured(networks: Sized, measured_ms: Floats, fewest: int) -> None:
    """Raises TableError where the latencies are too few, or not each a number above 0."""
    if len(networks) != len(measured_ms):
        raise TableError(f"{len(networks)} networks, but {len(measured_ms)} latencies")
    if len(measured_ms) < fewest:
        raise TableError(f"{len(measured_ms)} measured networks are too few: {fewest} are needed")
    for index, latency_ms in enumerate(measured_ms):
        if not 0 < latency_ms < inf:
            raise TableError(f"network {index} of those measured has a latency of {latency_ms} ms")
