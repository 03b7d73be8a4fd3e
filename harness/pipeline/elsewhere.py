"""`harness predict --device imported:NAME`: what networks take on a device that is not here."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import combinations
from math import exp, hypot, log
from typing import Any

import numpy as np

from harness.errors import TableError
from harness.hints import command
from harness.networks.baselines import BASELINES
from harness.pipeline.baselines import NAME as BASELINES_TABLE
from harness.pipeline.baselines import newest_times
from harness.pipeline.job import Run
from harness.pipeline.networks import network_named
from harness.pipeline.predict import predict
from harness.predictors.neighbours import Estimate, Neighbours
from harness.predictors.transfer import ratio_between
from harness.tables.conformal import Floats, bound
from harness.tables.imported import ImportedDevice, find_imported, load_all
from harness.tables.repeat import Interval
from harness.tables.table import Table

_PUBLISHED = {name for baseline in BASELINES for name in baseline.published_as}
_DRAWS = 5  # partners of each device
_FEWEST_ERRORS = 19  # from which their 95 % is one of them
_FEWEST = 2  # networks in common that tell how two devices differ from network to network
_MOST_KNOWN = 2  # networks that tell the others: with more, no device is alike in all
_CANDIDATES = 6  # of which these are chosen
_Estimated = tuple[tuple[str, ...], Estimate]  # by known networks


@dataclass(frozen=True)
class Elsewhere:
    """One network on an imported device, at full speed."""

    network: str
    device: str
    latency_ms: float
    latency_ms_interval: Interval | None  # 95 %; None: as published, once
    rests_on: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_row(self) -> dict[str, Any]:
        """The interval as two columns."""
        low, high = self.latency_ms_interval or (None, None)
        value = asdict(self)
        del value["latency_ms_interval"]
        return value | {"latency_ms_low": low, "latency_ms_high": high}


def published_or_alike(job: Run, networks: Sequence[str], name: str) -> list[Elsewhere]:
    """Networks of the device's source: as published, else by other devices of its runtime.

    Raises:
        UsageError: there is no such device.
        TableError: too few devices of its runtime have a network.
    """
    sources = load_all(job.workspace.imported)
    target = find_imported(name, sources)
    (source,) = (each for each in sources if target in each.devices)
    every = (device for each in sources for device in each.devices)
    alike = [device for device in every if _same_kind(device, target)]
    among = Neighbours(tuple(alike))
    return [
        _published(target, network, source.source)
        if network in target.networks
        else _alike(among, target, network)
        for network in networks
    ]


def _same_kind(device: ImportedDevice, target: ImportedDevice) -> bool:
    return (device.runtime, device.precision) == (target.runtime, target.precision)


def _published(target: ImportedDevice, network: str, source: str) -> Elsewhere:
    latency_ms = target.networks[network].full_speed_ms
    return Elsewhere(network, target.name, latency_ms, None, f"imported from {source}")


def _alike(among: Neighbours, target: ImportedDevice, network: str) -> Elsewhere:
    known, estimate = _best(among, target, network)
    words = f"by its {' and '.join(known)}, as {estimate.devices} other devices compare"
    return Elsewhere(network, target.name, estimate.latency_ms, estimate.interval, words)


def _best(among: Neighbours, target: ImportedDevice, network: str) -> _Estimated:
    """From the one or two known networks that leave least open.

    Raises:
        TableError: too few devices have the network and a known one.
    """
    names = [name for name in target.networks if name != network]
    alone = sorted(_estimated(among, target, [(name,) for name in names], network), key=_width)
    if not alone:
        raise TableError(
            f"too few imported devices have times of both {network} and what {target.name} has: "
            f"{', '.join(sorted(target.networks))}"
        )
    candidates = [name for (name,), _ in alone[:_CANDIDATES]]
    pairs = combinations(candidates, _MOST_KNOWN)
    return min([*alone, *_estimated(among, target, pairs, network)], key=_width)


def _estimated(
    among: Neighbours, target: ImportedDevice, knowns: Iterable[tuple[str, ...]], network: str
) -> Iterator[_Estimated]:
    """What each choice of known networks tells; some are known of too few devices."""
    for known in knowns:
        with suppress(TableError):
            (estimate,) = among.predict(target, known, [network])
            yield known, estimate


def _width(estimated: _Estimated) -> float:
    low, high = estimated[1].interval
    return log(high / low)


def from_own_device(job: Run, networks: Sequence[str], name: str, here: str) -> list[Elsewhere]:
    """Networks that a device of one's own has a table for, rescaled to an imported one by the
    published networks that both were timed with (`harness measure --baselines`).

    Raises:
        UsageError: there is no such imported device.
        TableError: a table is missing, or the two have too little in common.
    """
    sources = load_all(job.workspace.imported)
    target = find_imported(name, sources)
    path = job.workspace.table(here, BASELINES_TABLE)
    common = _common(Table.load(path), target) if path.exists() else []
    if len(common) < _FEWEST:
        raise TableError(
            f"{here} and {target.name} have {len(common)} networks in common, {_FEWEST} are "
            f"needed: {command('measure', '--baselines', '--device', here)} times "
            f"{', '.join(each.name for each in BASELINES if each.published_as)}"
        )
    others = [device for source in sources for device in source.devices if device != target]
    log_ratios = np.log([target.networks[network].full_speed_ms / ms for network, ms in common])
    ratio, known_off = ratio_between(log_ratios, None)
    log_error = rescaled_off(others, len(common)) or known_off
    words = f"rescaled from the table of {here} by {len(common)} networks timed on both"
    found = []
    for each in predict(job, [network_named(job, here, one) for one in networks], here, None):
        latency_ms, ends = ratio * each.latency_ms, each.latency_ms_interval
        own = log(ends[1] / each.latency_ms) if ends else 0.0  # of the table
        off = hypot(log_error, own)
        interval = latency_ms * exp(-off), latency_ms * exp(off)
        found.append(Elsewhere(each.network, target.name, latency_ms, interval, words))
    return found


def _common(own: Table, target: ImportedDevice) -> list[tuple[str, float]]:
    """Networks that both have: by their name there, and what each takes here, ms."""
    times = newest_times(own)
    return [
        (name, times[baseline.blocks].value / 1e6)
        for baseline in BASELINES
        for name in baseline.published_as
        if name in target.networks and baseline.blocks in times
    ]


def rescaled_off(others: Sequence[ImportedDevice], count: int) -> float | None:
    """What 95 % of networks are off by, in logarithms, where a device is rescaled to another by
    `count` networks, or all but one.

    Of pairs of imported devices, drawn with the same seed each time; None where too few tell.
    """
    rng, errors = np.random.default_rng(0), []
    for device in [*others] * _DRAWS:
        other = others[int(rng.integers(len(others)))]
        common = sorted(device.networks.keys() & other.networks.keys() & _PUBLISHED)
        if other.title != device.title and len(common) > _FEWEST:  # one is left to judge
            left, *known = rng.permutation(common)[: count + 1]
            level = np.median(_log_ratios(device, other, known))
            errors.append(float(_log_ratios(device, other, [left])[0] - level))
    return bound(np.array(errors)) if len(errors) >= _FEWEST_ERRORS else None


def _log_ratios(target: ImportedDevice, other: ImportedDevice, names: Sequence[str]) -> Floats:
    return np.log(
        [target.networks[n].full_speed_ms / other.networks[n].full_speed_ms for n in names]
    )
