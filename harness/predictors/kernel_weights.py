"""Which weights a network fetches from memory, where its kernels timed alone find them in a cache.

A network runs through all its weights before it needs the first again: a cache keeps those of
networks that are small enough, and hardly any of others. How many it keeps on a device, the
device's anchors tell.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harness.spaces.kernel import Kernel
from harness.tables.calibration import Calibration, Sums, fit

Floats = npt.NDArray[np.float64]
KEPT = tuple(2.0 ** (half / 2) for half in range(30, 48))  # numbers that a cache may keep
_OCTAVES = 3.0  # from networks of which all are kept to those of which none


def weights_of(kernels: Sequence[Kernel]) -> Floats:
    """Of each kernel, [kernels]."""
    return np.array([kernel.params for kernel in kernels], float)


def fetched(weights: Floats, kept: float) -> Floats:
    """Those of each kernel [kernels] of a network that the network fetches, and the kernel alone
    did not: up to `kept` none are fetched in either, from eight times as many on all."""
    return np.asarray(weights * (_share(weights.sum(), kept) - _share(weights, kept)))


def _share(weights: Floats, kept: float) -> Floats:
    return np.clip(np.log2(np.maximum(weights, 1.0) / kept) / _OCTAVES, 0.0, 1.0)


def with_fetched(sums: Sums, weights: Sequence[Floats], kept: float) -> Sums:
    """The networks, of whose weights only those count that are fetched."""
    return replace(sums, params=np.array([fetched(each, kept).sum() for each in weights]))


def fitted(
    sums: Sums, weights: Sequence[Floats], measured: Floats, call_ns: float
) -> tuple[Calibration, float]:
    """The calibration by these networks, and how many weights a cache keeps: as many as let it err
    least. Besides its kernels a network takes one call.

    Raises:
        TableError: the networks do not rise with their sums.
    """

    def off(kept: float) -> float:
        told = with_fetched(sums, weights, kept)
        network = fit(told, measured, offset=call_ns).network(told)
        return float(np.abs(network / measured - 1).mean())

    kept = min(KEPT, key=off)
    return fit(with_fetched(sums, weights, kept), measured, offset=call_ns), kept
