"""Networks on a device that is not here, from one or two that somebody timed there.

What others published of many devices tells how networks compare on devices alike. The logarithm of
a network's latency to that of the known ones is a local regression (Cleveland 1979) on what is
known of a setting: processor, threads, cores, how fast the known networks are there and how they
compare, and words of the device's name, which tell its cores. Errors have long tails (one of a
device's networks may take thrice its time for a reason of its own), so fits are reweighted by
Cauchy's likelihood.

Intervals are conformal: they hold what 95 % of the other devices' networks are off by, each device
predicted without all of its own settings, in units of how far its neighbours lie apart.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.tables.conformal import bound
from harness.tables.imported import ImportedDevice
from harness.tables.repeat import Interval

Floats = npt.NDArray[np.float64]
FEWEST = 5  # devices that tell a ratio
FEWEST_JUDGES = 20  # settings of one processor that tell how far it is off; else all do
# How far settings may differ and still be neighbours, one standard deviation: threads and speed as
# natural logarithms, and the ratio between known networks.
_THREADS, _SPEED, _RATIO = 1.0, 1.5, 0.1
_FARTHEST_RATIO = 3.0  # standard deviations: what is beyond may be a hiccup of one network
_WORDS = 4.0  # logarithm of how much more a device of the same name counts than one of other words
_CORES = 0.25  # so much less likely alike where one has only its little or big cores
_ANY = 0.02  # what each device counts, however different
_OTHER_PROCESSOR = 1e-3
_RIDGE = 1.0  # neighbours' worth of belief that a slope is none
_FLOOR = 0.01  # of how far neighbours lie apart, in logarithms: what times are printed with
_STEPS = 5  # of reweighting


@dataclass(frozen=True)
class Estimate:
    """Of one network on the device."""

    network: str
    latency_ms: float
    interval: Interval  # 95 %, ms
    devices: int  # that tell of it


@dataclass(frozen=True)
class Neighbours:
    """Devices to learn from: one runtime's, all with times at full speed."""

    devices: tuple[ImportedDevice, ...]

    def predict(
        self, target: ImportedDevice, known: Sequence[str], networks: Sequence[str]
    ) -> list[Estimate]:
        """Each network on `target` from its own times of the `known` ones alone.

        Other settings of the device do not count, where they are here.

        Raises:
            TableError: the target lacks a known network, or too few devices have the networks.
        """
        for name in known:
            if name not in target.networks:
                raise TableError(f"nobody timed {name} on {target.name}")
        panel = _Panel(tuple(d for d in self.devices if d.title != target.title), tuple(known))
        likeness = panel.likeness(target)
        return [panel.estimate(target, network, likeness) for network in networks]


@dataclass(frozen=True)
class _Panel:
    """Devices that the target is none of, and the networks that are known there."""

    devices: tuple[ImportedDevice, ...]
    known: tuple[str, ...]

    def estimate(self, target: ImportedDevice, network: str, likeness: Floats) -> Estimate:
        wanted = {network, *self.known}
        chosen = [n for n, device in enumerate(self.devices) if wanted <= device.networks.keys()]
        titles = [self.devices[n].title for n in chosen]
        if len(set(titles)) < FEWEST:
            raise TableError(
                f"only {len(set(titles))} other devices were timed with {', '.join(wanted)}: "
                f"{FEWEST} are needed"
            )
        ratios = np.array([_log_ratio(self.devices[n], network, self.known) for n in chosen])
        points = np.array([_point(self.devices[n], self.known) for n in chosen])
        # The target is one more query behind all of the devices, each of which judges the others.
        queries = np.vstack([points, _point(target, self.known)])
        near = likeness[np.ix_([*chosen, len(self.devices)], chosen)] * _alike(queries, points)
        names = np.array(titles)
        near[:-1][names[:, None] == names[None, :]] = 0.0
        found, apart = _local(queries, points, ratios, near)
        same = points[:, 0] == queries[-1, 0]  # its processor
        judges = same if same.sum() >= FEWEST_JUDGES else np.ones(len(same), bool)
        off = bound(((found[:-1] - ratios) / apart[:-1])[judges]) * apart[-1]
        level_ms = exp(_level(target, self.known) + found[-1])
        ends = level_ms * exp(-off), level_ms * exp(off)
        return Estimate(network, level_ms, ends, len(set(titles)))

    def likeness(self, target: ImportedDevice) -> Floats:
        """How much each device counts for each other one and, in the last row, for the target, by
        words of their names; a device of many settings counts less in each."""
        shared = self._words(target.title)
        settings = Counter(device.title for device in self.devices)
        often = np.array([settings[device.title] for device in self.devices])
        return np.asarray(np.exp(_WORDS * shared[:, :-1]) / np.sqrt(often))

    def _words(self, title: str) -> Floats:
        """Cosines between names, rare words counting more, [devices + 1, devices + 1]."""
        titles = [*(device.title for device in self.devices), title]
        common = Counter(word for each in set(titles) for word in _words(each))
        index = {word: n for n, word in enumerate(common)}
        rows = np.zeros((len(titles), len(index) + 1))
        for row, each in zip(rows, titles, strict=True):
            for word in _words(each):
                row[index[word]] = log((len(self.devices) + 2) / common[word])
            row[-1] = 1e-9  # a name without words is like no other
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows @ rows.T)


def _words(title: str) -> frozenset[str]:
    """Of three letters and digits or more, beginning with a letter: Cortex-A53, Snapdragon."""
    return frozenset(word.lower() for word in re.findall(r"[A-Za-z][A-Za-z0-9-]{2,}", title))


def _level(device: ImportedDevice, known: Sequence[str]) -> float:
    """The mean logarithm of what the known networks take, ms."""
    return float(np.mean([log(device.networks[name].full_speed_ms) for name in known]))


def _log_ratio(device: ImportedDevice, network: str, known: Sequence[str]) -> float:
    return log(device.networks[network].full_speed_ms) - _level(device, known)


def _point(device: ImportedDevice, known: Sequence[str]) -> list[float]:
    """What is known of a setting: processor, cores, then in units of how far neighbours may be
    apart threads, speed, and the known networks' ratios."""
    processor = float(("cpu", "gpu", "npu").index(device.processor))
    cores = float((None, "little", "big").index(device.cores))
    threads = log(device.num_threads or 1) if device.processor == "cpu" else 0.0
    times = [log(device.networks[name].full_speed_ms) for name in known]
    ratios = [(time - times[0]) / _RATIO for time in times[1:]]
    return [processor, cores, threads / _THREADS, _level(device, known) / _SPEED, *ratios]


def _alike(queries: Floats, points: Floats) -> Floats:
    """How much points count for queries, [queries, points]."""
    apart = queries[:, None, :] - points[None, :, :]
    ratios = np.minimum(np.abs(apart[:, :, 4:]), _FARTHEST_RATIO)
    squares = (apart[:, :, 2:4] ** 2).sum(axis=2) + (ratios**2).sum(axis=2)
    squares += 2 * _CORES * (apart[:, :, 1] != 0)
    other = np.where(apart[:, :, 0] != 0, _OTHER_PROCESSOR, 1.0)
    return np.asarray((np.exp(-squares / 2) + _ANY) * other)


def _local(queries: Floats, points: Floats, values: Floats, near: Floats) -> tuple[Floats, Floats]:
    """The value expected at each query, and how far its neighbours lie from it, in the middle.

    `near` says how much each point counts there; slopes are in what points have from the third.
    """
    near = near / near.max(axis=1, keepdims=True)
    level = _weighted_median(np.broadcast_to(values, near.shape), near)
    apart = _FLOOR + _weighted_median(np.abs(values - level[:, None]), near)
    slopes = np.arange(1, queries.shape[1] - 1)
    belief = np.diag([0.0, *(_RIDGE for _ in slopes)])
    design = np.concatenate([np.ones((len(values), 1)), points[:, 2:]], axis=1)
    at = np.concatenate([np.ones((len(queries), 1)), queries[:, 2:]], axis=1)
    expected = np.broadcast_to(level[:, None], near.shape)
    for _ in range(_STEPS):
        weights = near / (1 + ((values - expected) / (2 * apart[:, None])) ** 2)
        squares = np.einsum("qn,ni,nj->qij", weights, design, design) + belief
        moments = np.einsum("qn,ni->qi", weights * values, design)
        fit = np.linalg.solve(squares, moments[:, :, None])[:, :, 0]
        expected = fit @ design.T
    spread = _FLOOR + _weighted_median(np.abs(values - expected), near)
    return (fit * at).sum(axis=1), spread


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Of each row."""
    order = np.argsort(values, axis=1)
    up_to = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (up_to < up_to[:, -1:] / 2).sum(axis=1, keepdims=True)
    return np.take_along_axis(np.take_along_axis(values, order, axis=1), middle, axis=1)[:, 0]
