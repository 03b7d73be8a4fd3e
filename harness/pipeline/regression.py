"""A kept benchmark beside a new one: whether the model became slower, or the machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import FileFormatError, UsageError
from harness.runtimes.model_inputs.feeding import is_free
from harness.tables.record import Statistics
from harness.tables.repeat import Repeat, value_of
from harness.tables.statements import WORDS
from harness.tables.versions import differences, same_versions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelChange:
    """The model now and then; ratios above 1 are slower."""

    at: str  # which time: "full", "p50", ...
    ratio: float  # of the model's times
    machine: float | None  # of reference blocks: how much of the ratio is the machine's
    beyond: float  # the model's ratio beyond the machine's; all of it where that is not known
    interval: tuple[float, float]  # of that, 95 %: what measuring an unchanged model again may give
    files: tuple[Mapping[str, str], ...] = ()  # then and now, where they are two different ones


def compare(old: dict[str, Any], new: dict[str, Any], at: str = "full") -> ModelChange:
    """The model now against a kept result, by one of its times.

    Reference blocks tell a slower machine from a slower model at full speed, where the device told
    the same versions both times. Else what all became slower by may be an update's doing, and
    counts, as it does for what users see.

    Raises:
        FileFormatError: the old result is of another device, or not whole.
        UsageError: one of them does not tell that time.
    """
    check_alike(old, new["identity"], new.get("fed"))
    clock = new["identity"]["clock"]
    try:
        read = clock if at == "full" else "wall"
        if any(read not in each["statistics"] for each in (old, new) if each["statistics"]):
            raise UsageError(f"not both results tell {WORDS[at]}")
        both = [Statistics.from_json(each["statistics"][read], "ns") for each in (old, new)]
        facts = [each["campaign"].get("environment", {}) for each in (old, new)]
        # Else the machine's part may be the update's.
        apart = at == "full" and same_versions(*facts)
        changes = _machine(old, new, clock) if apart else np.zeros(0)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FileFormatError(f"the baseline is not whole: {error!r}") from error
    values = [value_of(each, at) for each in both]
    if values[0] is None or values[1] is None:
        raise UsageError(
            f"not both results tell {WORDS[at]}: measure the baseline again, unless the runtime "
            "tells one time a visit alone"
        )
    change = log(values[1] / values[0])
    machine = float(np.median(changes)) if len(changes) else None
    repeat = Repeat.told(at, changes)
    far = max(repeat.far(each, level=machine is None) for each in both)
    if machine is not None:  # the median of few is off, too
        far *= sqrt(1 + 1 / len(changes))
    if "simulated" in new["campaign"]:
        far = 0.0
    beyond = change - (machine or 0.0)
    return ModelChange(
        at,
        exp(change),
        None if machine is None else exp(machine),
        exp(beyond),
        (exp(beyond - far), exp(beyond + far)),
        _apart(old.get("model"), new["model"]),
    )


def _apart(old: object, new: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
    """The model's files, where the baseline is of another one."""
    then = old if isinstance(old, dict) else {}
    return () if then.get("sha256") == new["sha256"] else (then, new)


def check_alike(
    old: Mapping[str, Any], identity: Mapping[str, Any], ours: Mapping[str, Any] | None
) -> None:
    """Whether a kept result can be compared with one of this device, fed with `ours`.

    Raises:
        FileFormatError: it is of another device or setting, or not both models took the same;
            older results do not tell.
    """
    kept = old.get("identity")
    apart = differences(kept if isinstance(kept, dict) else {}, identity)
    if apart:
        differing = "; ".join(
            f"{name} {then!r} then, {now!r} now" for name, (then, now) in apart.items()
        )
        raise FileFormatError(
            f"the baseline is of another device or setting ({differing}): only equal ones can be "
            "compared; keep a baseline of this one by --output"
        )
    theirs = old.get("fed")
    if theirs is None and ours is not None:
        if "signature" in ours or not all(map(is_free, ours["inputs"])):
            raise FileFormatError(
                "the baseline does not tell what the model was fed with, as it is of an older "
                f"version: measure it again; now it was {json.dumps(ours)}"
            )
    elif theirs != ours:
        raise FileFormatError(
            f"the model of the baseline was fed with {json.dumps(theirs)}, not {json.dumps(ours)}; "
            "only times of equal inputs can be compared"
        )


def _machine(old: dict[str, Any], new: dict[str, Any], clock: str) -> Floats:
    """How the reference blocks changed, as logarithms; older results have one alone."""
    before, now = (each.get("references", {}).get(clock, {}) for each in (old, new))
    pairs = [(before[key], now[key]) for key in sorted(before.keys() & now.keys())]
    if not pairs:
        pairs = [tuple(each["reference"][clock]["value_ns"] for each in (old, new))]
    return np.log([after / first for first, after in pairs])
