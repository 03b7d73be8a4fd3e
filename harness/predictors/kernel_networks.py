"""Latencies of any network from a device's table of kernels, calibrated by whole networks."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import TableError
from harness.graphs.graph import Graph
from harness.graphs.networks import known_networks
from harness.graphs.reading import KERNEL_RUNTIMES
from harness.hints import command
from harness.predictors.kernel_regression import Floats, KernelTimes
from harness.predictors.kernel_weights import fetched, fitted, weights_of, with_fetched
from harness.spaces.block import Block
from harness.spaces.kernel import Kernel
from harness.tables.calibration import Calibration, Sums, fit
from harness.tables.conformal import student
from harness.tables.repeat import NORMAL95, Interval, Repeat

if TYPE_CHECKING:
    from harness.tables.table import Table

NAME = "kernels"  # where a table has the name of its space
FEWEST_ANCHORS = 5
_NOISE = 0.02  # logarithm, of measuring a network
_LEAST_PART = 0.2  # of what a kernel takes without a call, whatever a calibration takes off it


@dataclass(frozen=True)
class Part:
    """One kernel of a network."""

    name: str
    kernel: Kernel
    latency_ms: float | None  # None: its operator is not in the table
    log_sd: float  # of that, before calibrating; 0: it was timed itself
    share: float  # of the network's latency; 0 where nobody knows


@dataclass(frozen=True)
class NetworkLatency:
    """What a network takes, by kernel; the interval is of 95 %."""

    latency_ms: float  # of all kernels whose operators are known
    latency_ms_interval: Interval
    parts: tuple[Part, ...]
    unknown: Counter[str]  # operators that are not in the table, and how many

    @property
    def timed(self) -> float:
        """Which share of the latency is of kernels that were timed themselves."""
        return sum(part.share for part in self.parts if part.log_sd == 0)


@dataclass(frozen=True)
class KernelNetworks:
    """Calibrated sums over kernels."""

    times: KernelTimes
    calibration: Calibration
    kept: float  # weights that a cache keeps from run to run, numbers
    errors: Floats  # logarithms, of anchors whose families had no part in any fit
    apart: float  # what a new family is off by, besides its kernels, logarithm, at 95 %
    level: float  # by how much another day is off, logarithm, at 95 %
    runtime: str  # by its name

    @classmethod
    def of(cls, table: "Table") -> "KernelNetworks":
        """Raises TableError: the table is none of kernels, or has no anchors."""
        if table.space != NAME:
            raise TableError(f"the table of {table.device} is of {table.space}, not of {NAME}")
        values = table.block_values(table.clock)
        times = KernelTimes.of({b: value for b, value in values.items() if isinstance(b, Kernel)})
        networks = [r for r in table.records if (r.role, r.clock) == ("anchor", table.clock)]
        known = [r for r in networks if not times.unknown(_kernels(r.blocks))]
        if len(known) < FEWEST_ANCHORS:
            raise TableError(
                f"the table of {table.device} has {len(known)} whole networks to calibrate by, "
                f"and needs {FEWEST_ANCHORS}: "
                f"{command('measure', '--kernels', '--device', table.device)} goes on"
            )
        measured = np.array([record.statistics.value for record in known], float)
        kernels = [_kernels(record.blocks) for record in known]
        sums = _sums(times, kernels)
        families = _families(kernels)
        # Links bring further waves to the level of the one that has the networks: whether they met
        # full speed themselves, for seconds, is nothing to those.
        missed = (table.campaigns[record.campaign].get("missed", 0.0) for record in known)
        repeat = replace(Repeat.of(table), missed=max(missed))
        level = repeat.level([record.statistics for record in known])
        weights = [weights_of(each) for each in kernels]
        calibration, kept = fitted(sums, weights, measured, times.call_ns)
        sums = with_fetched(sums, weights, kept)
        errors, own = _families_left_out(times, kernels, sums, measured, families, kept)
        apart = _apart(errors, own, families)
        runtime = str(table.identity["runtime"])
        return cls(times, calibration, kept, errors, apart, level, runtime)

    def predict(self, graph: Graph) -> NetworkLatency:
        """Raises TableError: no operator of the network is in the table."""
        unknown = set(self.times.unknown(graph.kernels))
        steps = [step for step in graph.steps if step.kernel not in unknown]
        if not steps:
            raise TableError("the table has none of the network's operators")
        kernels = [step.kernel for step in steps]
        alone, log_sds = self.times.predict(kernels)
        alone = self.times.in_networks(alone)
        weights = fetched(weights_of(kernels), self.kept)
        told_ns = np.array(
            [
                max(self.calibration.part(*each), _LEAST_PART * each[1])
                for each in zip(kernels, alone, weights, strict=True)
            ]
        )
        latency_ns = float(told_ns.sum()) + self.calibration.offset
        own = _spread(kernels, told_ns, log_sds) / latency_ns
        far = hypot(self.apart, NORMAL95 * own, self.level)
        latency_ms = latency_ns / 1e6
        found = iter(zip(told_ns, log_sds, strict=True))
        parts = []
        for step in graph.steps:
            if step.kernel in unknown:
                parts.append(Part(step.name, step.kernel, None, 0.0, 0.0))
                continue
            value, log_sd = next(found)
            share = float(value) / latency_ns
            parts.append(Part(step.name, step.kernel, float(value) / 1e6, float(log_sd), share))
        return NetworkLatency(
            latency_ms,
            (latency_ms * exp(-far), latency_ms * exp(far)),
            tuple(parts),
            Counter(kernel.op for kernel in graph.kernels if kernel in unknown),
        )

    def describe(self) -> str:
        off = np.abs(self.errors)
        return (
            f"{len(self.times.measured_ns)} kernels timed, calibrated by "
            f"{self.calibration.anchors} whole networks; families left out of that were off by "
            f"{off.mean():.1%} on average, {off.max():.0%} at most"
        )

    def facts(self) -> dict[str, Any]:
        return {
            "kernels": len(self.times.measured_ns),
            "anchors": self.calibration.anchors,
            "mape_families_left_out": float(np.abs(self.errors).mean()),
        }


def _kernels(blocks: Sequence[Block]) -> list[Kernel]:
    return [block for block in blocks if isinstance(block, Kernel)]


def _sums(times: KernelTimes, networks: Sequence[Sequence[Kernel]]) -> Sums:
    kernels = list(dict.fromkeys(kernel for network in networks for kernel in network))
    values = times.in_networks(times.predict(kernels)[0])
    return Sums.of(networks, dict(zip(kernels, map(float, values), strict=True)))


def _families(networks: Sequence[Sequence[Kernel]]) -> list[str]:
    """Of each network, by what ships; one that does not is a family of its own."""
    known = {
        network.kernels: network.family
        for runtime in KERNEL_RUNTIMES.values()
        for network in known_networks(runtime)
    }
    found = [known.get(tuple(each), str(place)) for place, each in enumerate(networks)]
    return found if len(set(found)) > 1 else list(map(str, range(len(networks))))


def _families_left_out(
    times: KernelTimes,
    networks: Sequence[Sequence[Kernel]],
    sums: Sums,
    measured: Floats,
    families: Sequence[str],
    kept: float,
) -> tuple[Floats, Floats]:
    """By how much each network is off, logarithm, where its family had no part in the calibration
    and kernels that no other family has were not timed; and by how much those alone are."""
    owners: dict[str, set[str]] = defaultdict(set)
    shipped = [n for each in KERNEL_RUNTIMES.values() for n in known_networks(each)]
    pairs = [*zip(families, networks, strict=True), *((n.family, n.kernels) for n in shipped)]
    for family, kernels in pairs:
        for kernel in kernels:
            owners[kernel.key].add(family)
    errors, spreads = np.empty(len(measured)), np.empty(len(measured))
    for family in sorted(set(families)):
        out = np.array([each == family for each in families])
        calibration = fit(sums.only(~out), measured[~out], offset=times.call_ns)
        theirs = [each for each, is_out in zip(networks, out, strict=True) if is_out]
        rest = _without(times, [key for key, own in owners.items() if own == {family}], theirs)
        weights = [weights_of(each) for each in theirs]
        told = calibration.network(with_fetched(_sums(rest, theirs), weights, kept))
        errors[out] = np.log(measured[out] / np.maximum(told, _LEAST_PART * sums.total[out]))
        for place, kernels in zip(np.flatnonzero(out), theirs, strict=True):
            values, log_sds = rest.predict(kernels)
            spreads[place] = _spread(kernels, values, log_sds) / float(values.sum())
    return errors, spreads


def _without(
    times: KernelTimes, keys: Sequence[str], networks: Sequence[Sequence[Kernel]]
) -> KernelTimes:
    """As if kernels had not been timed; but those that nothing else tells of."""
    gone = {key for key in keys if key in times.measured_ns}
    unknown = times.without(gone).unknown(kernel for each in networks for kernel in each)
    return times.without(gone - {kernel.key for kernel in unknown})


def _apart(errors: Floats, own: Floats, families: Sequence[str]) -> float:
    """What another family is off by with a chance of 5 %, besides what its kernels are uncertain
    by. Networks of a family err alike: each family counts once, and there are few."""
    alike: dict[str, list[float]] = defaultdict(list)
    for family, square in zip(families, errors**2 - own**2, strict=True):
        alike[family].append(square)
    squares = [max(_NOISE**2, float(np.mean(each))) for each in alike.values()]
    return student(len(alike) - 1) * float(np.sqrt(np.mean(squares) * (1 + 1 / len(alike))))


def _spread(kernels: Sequence[Kernel], values: Floats, log_sds: Floats) -> float:
    """Of a sum: kernels of one variant are wrong in the same direction."""
    by_variant: dict[str, float] = defaultdict(float)
    for kernel, value, log_sd in zip(kernels, values, log_sds, strict=True):
        by_variant[kernel.variant] += float(value * log_sd)
    return float(np.sqrt(sum(each**2 for each in by_variant.values())))
