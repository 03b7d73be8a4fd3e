"""The physical model of latencies: launching kernels, and working through them.

Each is a sum of positive costs over what blocks ask for (`spaces.demands`). A device takes the
longer of the two, or their sum.
"""

import numpy as np
import numpy.typing as npt

from harness.spaces.demands import Assumptions

Floats = npt.NDArray[np.float64]
_NOISE_SD = 0.05  # relative, of a measurement; fitted too, from here on
_FAR = 8.0  # how far a fitted logarithm may go from where it starts


def longer(log_parts: Floats, sharpness: float) -> Floats:
    """Logarithm of the smooth maximum, from logarithms of launch and work, [n, 2] to [n]."""
    return np.asarray(np.logaddexp(*(sharpness * log_parts.T)) / sharpness)


def log_latency(times_ms: Floats, assumed: Assumptions) -> tuple[Floats, Floats]:
    """Log latency [n] from times of demands [n, demands], and its derivative by log times."""
    split = len(assumed.launch)
    parts = np.add.reduceat(times_ms, [0, split], axis=1)
    (sharpness,) = assumed.sharpness
    log_ms = longer(np.log(parts), sharpness)
    weight = np.exp(sharpness * (np.log(parts) - log_ms[:, None])) / parts
    return log_ms, np.repeat(weight, [split, times_ms.shape[1] - split], axis=1) * times_ms


def fit_costs(counts: Floats, measured: Floats, assumed: Assumptions) -> Floats:
    """The likeliest cost of each demand, ms, from demands [n, demands] and log latencies [n].

    Costs of one part (launch, work) spread around a common level by `cost_sd`, in logarithms; the
    level is free. Errors are Student's, their size is fitted too.
    """
    from scipy.optimize import minimize  # takes longer to import than tables to read

    parts = [slice(len(assumed.launch)), slice(len(assumed.launch), None)]
    typical = np.array([*assumed.launch, *assumed.work], float)
    centred = np.eye(len(typical))  # takes away each part's mean
    for part in parts:
        level = np.median(measured - np.log(counts[:, part] @ typical[part]))
        typical[part] *= np.exp(level)
        centred[part, part] -= 1 / len(typical[part])

    def unlikelihood(beliefs: Floats) -> tuple[float, Floats]:
        """The negative logarithm of the posterior, and its gradient."""
        excess, log_sd = beliefs[:-1], beliefs[-1]
        log_ms, by_excess = log_latency(counts * typical * np.exp(excess), assumed)
        error = (measured - log_ms) / np.exp(log_sd)
        tail = assumed.tail
        off, noise = centred @ excess / assumed.cost_sd, log_sd - np.log(_NOISE_SD)
        value = (tail + 1) / 2 * np.log1p(error**2 / tail).sum() + len(measured) * log_sd
        pull = (tail + 1) * error / (tail + error**2)
        gradient = -pull @ by_excess / np.exp(log_sd) + off / assumed.cost_sd
        by_noise = len(measured) - pull @ error + noise
        return float(value + (off @ off + noise**2) / 2), np.append(gradient, by_noise)

    start = np.append(np.zeros(len(typical)), np.log(_NOISE_SD))
    bounds = [(belief - _FAR, belief + _FAR) for belief in start]
    found = minimize(unlikelihood, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(typical * np.exp(found.x[:-1]))
