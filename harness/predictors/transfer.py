"""A first estimate for a new device: a known device's predictions, rescaled by few networks."""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np

from harness.predictors.few_shot import Floats, check_measured
from harness.predictors.latency import LatencyPredictor
from harness.spaces.genome import Genomes
from harness.tables.conformal import student
from harness.tables.statements import Statement, Statements, error_facts

# How much the logarithm of two devices' ratio varies between networks, before any is measured: by
# 0.007 to 0.135 for pairs of four GPUs at one batch, in the root mean square 0.07 (HELP). By 0.03
# for five phones against the Note10 (20 specialised networks of width 1.0 that the OFA authors
# published), but those are much alike: the GPUs' is taken. 0.08 of it, as with 0.07 only 92 % of
# the networks of their pairs lay in the interval after one measurement, with 0.08 94 %.
_RATIO_SD = 0.08
_RATIO_FREEDOM = 4  # few, as pairs of devices differ so much


@dataclass(frozen=True)
class Transferred:
    """A known device's predictions, rescaled to another device."""

    known: LatencyPredictor
    name: str  # of the known device
    ratio: float  # the other device's latencies to the known one's
    networks: int  # measured on the other device
    statements: Statements

    def predict(self, genomes: Genomes) -> Floats:
        """Predicted latency of each network, [n]."""
        return self.ratio * self.known.predict(genomes)

    def smallest(self) -> tuple[float, Genomes]:
        """The lowest latency that any network of the space has, ms, and that network's row."""
        latency_ms, genome = self.known.smallest()
        return self.ratio * latency_ms, genome

    def describe(self) -> str:
        networks = f"{self.networks} network{'s' if self.networks > 1 else ''}"
        return (
            f"{networks} measured, the rest rescaled from the table of {self.name}: "
            f"95 % of networks are expected within {self.statements['full'].relative_error:.0%}"
        )

    def facts(self) -> dict[str, Any]:
        return {
            "networks": self.networks,
            "ratio": self.ratio,
            "known": self.name,
            "rests_on": self.describe(),
        } | error_facts(self.statements)


def transfer(
    known: LatencyPredictor, genomes: Genomes, measured_ms: Floats, name: str
) -> Transferred:
    """Rescale `known`, of the device `name`, to the one on which these networks [n] were measured.

    Only for settings alike: the ratio of a GPU at batch 1 to one at batch 64 is no constant.

    Raises:
        TableError: none is measured, or a latency, known or measured, is not a number above 0.
    """
    known_ms = known.predict(genomes)
    for latencies_ms in (measured_ms, known_ms):
        check_measured(genomes, latencies_ms, fewest=1)
    log_ratios = np.log(measured_ms / known_ms)
    ratio, log_error = ratio_between(log_ratios, _RATIO_SD)
    statement = Statement("full", 1.0, log_error)
    return Transferred(known, name, ratio, len(log_ratios), {"full": statement})


def ratio_between(log_ratios: Floats, typical_sd: float | None) -> tuple[float, float]:
    """The ratio of two devices' latencies, and what 95 % of networks are off by, in logarithms.

    From the logarithms of few networks' ratios, and what is believed of their standard deviation
    before (None: nothing).
    """
    level, networks = float(np.median(log_ratios)), len(log_ratios)
    believed = 0 if typical_sd is None else _RATIO_FREEDOM
    freedom = believed + networks - 1
    squares = believed * (typical_sd or 0.0) ** 2 + ((log_ratios - level) ** 2).sum()
    # The ratio is uncertain, and the next network deviates from it.
    sd = sqrt(squares / freedom * (1 + 1 / networks))
    return exp(level), student(freedom) * sd
