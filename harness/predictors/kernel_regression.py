"""What kernels take that nobody timed, from those that were.

Times of kernels that are alike but for sizes follow a roofline: a call, the multiply-accumulates,
the numbers that are moved, each at the device's rate (Williams, Waterman and Patterson, CACM 2009).
What is left (steps of tiles, caches) is smooth in the logarithms of sizes: a Gaussian process
(Rasmussen and Williams 2006, chapters 2 and 5) interpolates it, whose error grows with the distance
from all that was timed.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from harness.spaces.kernel import Kernel, op_of

Floats = npt.NDArray[np.float64]
FEWEST = 12  # kernels of a variant that are interpolated by themselves
_LENGTHS = (2.0, 4.0, 8.0, 16.0)  # octaves over which what is left over changes
_NOISES = (0.03, 0.1, 0.3)  # of a measurement, as a share of what is left over
_TELLING = 250  # kernels by which the two are chosen
_LEAST = 0.02  # of what a kernel takes alone
_UNSEEN_SD = 0.7  # logarithm, of kernels of which hardly any were timed
_BY_VALUES, _BY_VALUES_SD = {"PRelu"}, 0.5
"""Operators that ask for each number's sign, and what that makes of their time, logarithm: in
onnxruntime 0.5 ns a number where all signs are the same, 4.7 where they are random, as timed."""
_ACTIVATED = 3.0  # octaves between kernels with and without
_TILES = (16, 32, 64)  # output channels that may be made at once, and columns of products


def shape_of(kernel: Kernel) -> list[float]:
    """What its time depends on smoothly, mostly as logarithms to base 2."""
    out = kernel.outputs[0]
    given = sorted((each.size for each in kernel.given), reverse=True)
    form = kernel.form
    logs = [
        kernel.macs,
        kernel.macs / max(1, out.size),  # how long a sum is
        given[0] if given else 0,
        sum(given[1:]),
        sum(each.size for each in kernel.outputs),
        kernel.params,
        (out.shape or (1,))[-1],
        form.window,
        form.stride,
        form.groups,
        form.dilation,
    ]
    return [
        *(float(np.log2(1 + each)) for each in logs),
        *(float(np.log2(each)) for each in (*_paddings(kernel), _row_padding(kernel))),
        len(given),
        _ACTIVATED * form.is_activated,
    ]


def _paddings(kernel: Kernel) -> list[float]:
    """How many times more channels, or columns, are computed than asked for, by tile."""
    shape = kernel.outputs[0].shape
    if not kernel.macs or len(shape) < 2:
        return [1.0] * len(_TILES)
    apart = 1 if kernel.stage == "depthwise" else kernel.form.groups
    channels = max(1, shape[kernel.form.channel_axis] // apart)
    return [-(-channels // tile) * tile / channels for tile in _TILES]


def _row_padding(kernel: Kernel) -> float:
    """How many times more pixels, or rows, are computed than asked for."""
    shape, tile = kernel.outputs[0].shape, kernel.form.row_tile
    if not shape or kernel.stage not in ("convolution", "product"):
        return 1.0
    rows = max(1, kernel.outputs[0].size // max(1, shape[kernel.form.channel_axis]))
    return -(-rows // tile) * tile / rows


def work_of(kernel: Kernel) -> list[float]:
    """What it asks of a device: calls, multiply-accumulates, numbers moved, rows of them, constants
    fetched, activations, and multiply-accumulates with what pads them to tiles."""
    maps = (*kernel.given, *kernel.outputs)
    moved = sum(each.size for each in maps)
    rows = sum(each.size // max(1, (each.shape or (1,))[-1]) for each in maps)
    activated = kernel.outputs[0].size * kernel.form.is_activated
    paddings = _paddings(kernel)
    padded = [kernel.macs * each for each in (*paddings, paddings[0] * _row_padding(kernel))]
    return [float(n) for n in (1, kernel.macs, moved, rows, kernel.params, activated, *padded)]


@dataclass(frozen=True)
class Regression:
    """Of kernels that are alike but for sizes; logarithms of times."""

    rates: Floats  # ns for each of `work_of`
    points: Floats  # [kernels, sizes]
    inverse: Floats  # of their covariance, in units of `variance`
    weights: Floats
    variance: float
    length: float
    left_out: Floats  # by how much each kernel is off where the others predict it, logarithm
    widening: float  # of the process's own error, so that it holds for those left out

    @classmethod
    def of(cls, kernels: Sequence[Kernel], times_ns: Floats) -> "Regression":
        work = np.array([work_of(kernel) for kernel in kernels])
        points = np.array([shape_of(kernel) for kernel in kernels])
        rates = _rates(work, times_ns)
        surprise = np.log(times_ns / (work @ rates))
        distances = _distances(points, points)
        some = slice(None, None, 1 + len(points) // _TELLING)  # enough to tell how smooth it is
        choices = [(length, noise) for length in _LENGTHS for noise in _NOISES]
        length, noise = min(
            choices,
            key=lambda each: _process(distances[some, some], surprise[some], *each)[0],
        )
        _, inverse, weights, variance, left_out, sd = _process(distances, surprise, length, noise)
        widening = float(np.sqrt(np.mean((left_out / sd) ** 2)))
        return cls(rates, points, inverse, weights, variance, length, left_out, max(1.0, widening))

    def without(self, left_out: npt.NDArray[np.bool_]) -> "Regression":
        """Had some kernels not been timed: the inverse of what is left of their covariance is the
        Schur complement. Rates stay, which a few of many hardly move."""
        kept = ~left_out
        both = self.inverse[np.ix_(kept, left_out)]
        own = np.linalg.inv(self.inverse[np.ix_(left_out, left_out)])
        return replace(
            self,
            points=self.points[kept],
            inverse=self.inverse[np.ix_(kept, kept)] - both @ own @ both.T,
            weights=self.weights[kept] - both @ own @ self.weights[left_out],
            left_out=self.left_out[kept],
        )

    def predict(self, kernels: Sequence[Kernel]) -> tuple[Floats, Floats]:
        """Times, ns, and the standard deviations of their logarithms, [kernels] each."""
        points = np.array([shape_of(kernel) for kernel in kernels])
        covariance = _matern(_distances(points, self.points) / self.length)
        work = np.array([work_of(kernel) for kernel in kernels])
        log = np.log(work @ self.rates) + covariance @ self.weights
        known = (covariance @ self.inverse * covariance).sum(axis=1)
        variance = self.variance * np.maximum(1e-4, 1 - known)
        return np.exp(log), self.widening * np.sqrt(variance)


def _rates(work: Floats, times_ns: Floats) -> Floats:
    """Non-negative rates with the least squared relative error; never all zero."""
    from scipy.optimize import nnls

    scale = np.maximum(work.max(axis=0), 1e-9)
    rates, _ = nnls(work / scale / times_ns[:, None], np.ones(len(times_ns)))
    # Something of each, so that nothing larger than all that was timed is free.
    floor = 1e-3 * times_ns.mean() * (work.max(axis=0) > 0)
    return np.asarray(np.maximum(rates, floor) / scale)


def _distances(points: Floats, others: Floats) -> Floats:
    """[points, others]"""
    squared = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _matern(scaled: Floats) -> Floats:
    """Of smoothness 3/2: once differentiable, as what has steps is hardly."""
    root = np.sqrt(3) * scaled
    return np.asarray((1 + root) * np.exp(-root))


_Fit = tuple[float, Floats, Floats, float, Floats, Floats]


def _process(distances: Floats, surprise: Floats, length: float, noise: float) -> _Fit:
    """The negative log density of those left out (Rasmussen and Williams 2006, eq. 5.10 to 5.12),
    and what was found."""
    covariance = _matern(distances / length) + noise**2 * np.eye(len(surprise))
    inverse = np.asarray(np.linalg.inv(covariance), np.float64)
    weights = inverse @ surprise
    variance = max(1e-6, float(surprise @ weights) / len(surprise))
    left_out = weights / np.diag(inverse)
    sd = np.sqrt(variance / np.diag(inverse))
    density = float(np.sum(np.log(sd) + 0.5 * (left_out / sd) ** 2))
    return density, inverse, weights, variance, left_out, sd


@cache
def _parsed(key: str) -> Kernel:
    kernel = Kernel.parse(key)
    assert isinstance(kernel, Kernel)
    return kernel


@dataclass(frozen=True)
class KernelTimes:
    """Of every kernel whose operator was timed: itself, or by those that are alike."""

    measured_ns: Mapping[str, float]  # by the keys of kernels
    names: frozenset[str]  # of variants and stages of which enough were timed
    made: dict[str, Regression]  # of some of them; of others when they are first asked for

    @classmethod
    def of(cls, measured_ns: Mapping[Kernel, float]) -> "KernelTimes":
        counts: Counter[str] = Counter()
        for kernel in measured_ns:
            counts.update((kernel.variant, kernel.stage))
        names = frozenset(name for name, count in counts.items() if count >= FEWEST)
        return cls({kernel.key: ns for kernel, ns in measured_ns.items()}, names, {})

    def without(self, keys: Set[str]) -> "KernelTimes":
        """As if the kernels with these keys had not been timed."""
        left = {key: ns for key, ns in self.measured_ns.items() if key not in keys}
        gone = {
            name: np.array([kernel.key in keys for kernel in self._by_name[name]])
            for name in self.names
        }
        names = frozenset(name for name, those in gone.items() if (~those).sum() >= FEWEST)
        # Of stages those alone that now tell of variants.
        stages = {each.stage for name in self.variants - names for each in self._by_name[name]}
        made = {}
        for name in names & (self.variants | stages):
            regression = self.regression(name)
            made[name] = regression.without(gone[name]) if gone[name].any() else regression
        return KernelTimes(left, names, made)

    @cached_property
    def operators(self) -> frozenset[str]:
        return frozenset(map(op_of, self.measured_ns))

    @cached_property
    def call_ns(self) -> float:
        """What calling the runtime takes, which a kernel timed alone pays: all of the least one."""
        return min(self.measured_ns.values())

    def in_networks(self, times_ns: Floats) -> Floats:
        """Of times alone, what is left without calling the runtime."""
        return np.asarray(np.maximum(times_ns - self.call_ns, _LEAST * times_ns))

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[Kernel]]:
        """Those of each variant and of each stage."""
        found: dict[str, list[Kernel]] = defaultdict(list)
        for kernel in map(_parsed, self.measured_ns):
            for name in {kernel.variant, kernel.stage}:
                found[name].append(kernel)
        return found

    @cached_property
    def variants(self) -> frozenset[str]:
        """Names of variants, of which enough were timed."""
        return self.names & {_parsed(key).variant for key in self.measured_ns}

    def regression(self, name: str) -> Regression:
        """Of a variant or stage; made when it is first asked for."""
        if name not in self.made:
            kernels = self._by_name[name]
            times = np.array([self.measured_ns[each.key] for each in kernels])
            self.made[name] = Regression.of(kernels, times)
        return self.made[name]

    def error(self, keys: Container[str]) -> float:
        """By how much kernels with these keys are off where those that are alike predict them, as
        a share of the time of all."""
        off_ns = all_ns = 0.0
        for name in self.variants:
            regression = self.regression(name)
            for kernel, off in zip(self._by_name[name], regression.left_out, strict=True):
                if kernel.key in keys:
                    off_ns += abs(float(off)) * self.measured_ns[kernel.key]
                    all_ns += self.measured_ns[kernel.key]
        return off_ns / all_ns if all_ns else float("inf")

    def name_of(self, kernel: Kernel) -> str | None:
        """What tells of it: its variant where enough of that were timed, else its stage."""
        return next((n for n in (kernel.variant, kernel.stage) if n in self.names), None)

    def unknown(self, kernels: Iterable[Kernel]) -> list[Kernel]:
        """Those whose operator was never timed, or of whose kind hardly anything was."""
        return [
            kernel
            for kernel in kernels
            if kernel.key not in self.measured_ns
            and kernel.variant not in self.names
            and (kernel.op not in self.operators or kernel.stage not in self.names)
        ]

    def predict(self, kernels: Sequence[Kernel]) -> tuple[Floats, Floats]:
        """Times, ns, and the standard deviations of their logarithms, [kernels] each; of measured
        ones what was measured."""
        times, sds = np.empty(len(kernels)), np.zeros(len(kernels))
        alike: dict[str, list[int]] = defaultdict(list)
        for place, kernel in enumerate(kernels):
            if kernel.key in self.measured_ns:
                times[place] = self.measured_ns[kernel.key]
            else:
                alike[self.name_of(kernel) or ""].append(place)
        for name, places in alike.items():
            some = [kernels[place] for place in places]
            times[places], sds[places] = self.regression(name).predict(some)
            strange = np.array([each.variant != name for each in some])
            sds[places] = np.where(strange, np.maximum(sds[places], _UNSEEN_SD), sds[places])
        by_values = [kernel.op in _BY_VALUES for kernel in kernels]
        return times, np.where(by_values, np.maximum(sds, _BY_VALUES_SD), sds)
