"""Fitting a DPU's constants to blocks measured on it, and judging the fit on blocks left out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.runtimes.dpu.architecture import Constants, Dpu
from harness.runtimes.dpu.measurements import Measured
from harness.runtimes.dpu.model import block_cost

Floats = npt.NDArray[np.float64]
FEWEST = 12  # blocks to fit three constants to, and to judge the fit
FEWEST_BOTTLENECKS = 8
WORST = 0.25  # mean error on blocks left out, with which constants are of no use
FOLDS, SEED = 5, 0
ROBUST = 0.02  # relative errors above this count linearly: a few odd blocks must not decide
START = Constants(vector_ns=100.0, ddr_share=0.3, pass_cycles=5.0)
LOWEST, HIGHEST = (0.0, 0.01, 0.0), (10_000.0, 1.0, 100.0)


@dataclass(frozen=True)
class Error:
    """How predicted times compare with measured ones."""

    blocks: int
    mape: float  # mean absolute relative error, 0..1
    within_10: float  # share of blocks
    kendall: float  # rank correlation


def predicted_ms(dpu: Dpu, measured: Sequence[Measured]) -> Floats:
    """Raises Infeasible where the DPU cannot run one of them."""
    cycles = [block_cost(dpu, each.block).cycles for each in measured]
    return np.array(cycles) / dpu.clock_mhz / 1e3


def measured_ms(measured: Sequence[Measured]) -> Floats:
    return np.array([each.latency_ms for each in measured])


def error(predicted: Floats, measured: Floats) -> Error:
    from scipy.stats import kendalltau

    relative = np.abs(predicted / measured - 1)
    tau = float(kendalltau(predicted, measured).statistic) if len(measured) > 1 else float("nan")
    return Error(len(measured), float(relative.mean()), float(np.mean(relative <= 0.1)), tau)


def fit(dpu: Dpu, measured: Sequence[Measured]) -> Constants:
    """The constants with the least robust error in the logarithm of time.

    Single convolutions (stem and head) are left aside where there are enough inverted bottlenecks:
    they are few, and each network has only two.

    Raises:
        Infeasible: the DPU cannot run one of them.
    """
    from scipy.optimize import least_squares

    bottlenecks = [each for each in measured if each.block.kind == "mbconv"]
    used = bottlenecks if len(bottlenecks) >= FEWEST_BOTTLENECKS else measured
    wanted = np.log(measured_ms(used))

    def residuals(values: Floats) -> Floats:
        candidate = replace(dpu, constants=Constants(*map(float, values)))
        return np.asarray(np.log(predicted_ms(candidate, used)) - wanted)

    found = least_squares(
        residuals,
        astuple(START),
        bounds=(LOWEST, HIGHEST),
        x_scale=astuple(START),
        loss="soft_l1",
        f_scale=ROBUST,
    )
    return Constants(*(float(f"{value:.4g}") for value in found.x))


def check_enough(measured: Sequence[Measured]) -> None:
    """Raises UsageError where there are too few different blocks."""
    blocks = {each.block for each in measured}
    if len(blocks) < FEWEST:
        raise UsageError(f"{len(blocks)} blocks are too few to fit to; measure at least {FEWEST}")


def at_bounds(constants: Constants) -> list[str]:
    """Names of constants that the measurements push to the end of what is possible."""
    values = asdict(constants).items()
    ends = zip(values, LOWEST, HIGHEST, strict=True)
    return [n for (n, v), low, high in ends if v <= low + 1e-3 * high or v >= 0.999 * high]


def left_out(dpu: Dpu, measured: Sequence[Measured], groups: Sequence[str]) -> Mapping[str, Floats]:
    """For each group the predictions, ms, of a fit to all others."""
    predictions = {}
    for group in dict.fromkeys(groups):
        others = [m for m, name in zip(measured, groups, strict=True) if name != group]
        own = [m for m, name in zip(measured, groups, strict=True) if name == group]
        candidate = replace(dpu, constants=fit(dpu, others))
        predictions[group] = predicted_ms(candidate, own)
    return predictions


def folds(measured: Sequence[Measured]) -> list[str]:
    """Random groups of blocks, the same each time; a block that was measured twice is in one."""
    blocks = list(dict.fromkeys(each.block for each in measured))
    order = np.random.default_rng(SEED).permutation(len(blocks))
    group = {
        block: str(place % FOLDS) for block, place in zip(blocks, np.argsort(order), strict=True)
    }
    return [group[each.block] for each in measured]


def held_out_error(dpu: Dpu, measured: Sequence[Measured]) -> Error:
    """The error over all blocks, each predicted by a fit that has not seen its group."""
    groups = folds(measured)
    predictions = left_out(dpu, measured, groups)
    taken = {group: iter(values) for group, values in predictions.items()}
    predicted = np.array([next(taken[group]) for group in groups])
    return error(predicted, measured_ms(measured))
