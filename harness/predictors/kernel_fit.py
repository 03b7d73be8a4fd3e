"""What was fitted to a table of kernels, kept in the cache: it takes seconds to find.

The file is a line of JSON, then all arrays as 64-bit floats, little-endian.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import TableError
from harness.predictors.kernel_networks import KernelNetworks
from harness.predictors.kernel_regression import Floats, KernelTimes, Regression
from harness.runtimes.conversion.cache import cache_folder, is_whole, keep
from harness.tables.calibration import Calibration

_ARRAYS = ("rates", "points", "inverse", "weights", "left_out")
_FITTED_BY = ("predictors/kernel_*.py", "tables/*.py", "spaces/kernel*.py", "graphs/networks.*")
"""What decides a fit besides the table, in the package."""


def fitted(path: Path) -> KernelNetworks:
    """The predictor of the table at `path`, from the cache where its content has been there before.

    Raises:
        TableError: it is missing, broken, none of kernels, or has no anchors.
    """
    kept = cache_folder() / "fits" / f"{_digest(path)}.bin"
    if is_whole(kept):
        return _loaded(kept.read_bytes())
    from harness.tables.table import Table  # much, to be imported for nothing

    made = KernelNetworks.of(Table.load(path))
    for name in made.times.variants:
        made.times.regression(name)
    keep(kept, _dumped(made))
    return made


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    package = Path(__file__).parents[1]
    try:
        found.update(path.read_bytes())
        for pattern in _FITTED_BY:
            for each in sorted(package.glob(pattern)):
                found.update(each.read_bytes())
    except OSError as error:
        raise TableError(f"cannot read {error.filename}: {error.strerror}") from error
    return found.hexdigest()


def _dumped(networks: KernelNetworks) -> bytes:
    times = networks.times
    head = {
        "measured_ns": dict(times.measured_ns),
        "names": sorted(times.names),
        "regressions": {name: _described(each) for name, each in times.made.items()},
        "calibration": asdict(networks.calibration),
        "kept": networks.kept,
        "errors": networks.errors.tolist(),
        "apart": networks.apart,
        "level": networks.level,
        "runtime": networks.runtime,
    }
    arrays = [getattr(each, name) for each in times.made.values() for name in _ARRAYS]
    content = b"".join(array.astype("<f8").tobytes() for array in arrays)
    return json.dumps(head).encode() + b"\n" + content


def _described(regression: Regression) -> dict[str, Any]:
    numbers = {name: getattr(regression, name) for name in ("variance", "length", "widening")}
    return {"numbers": numbers, "shapes": [getattr(regression, name).shape for name in _ARRAYS]}


def _loaded(content: bytes) -> KernelNetworks:
    text, _, rest = content.partition(b"\n")
    head, floats = json.loads(text), np.frombuffer(rest, "<f8")
    made, place = {}, 0
    for name, told in head["regressions"].items():
        arrays: dict[str, Any] = dict(
            zip(_ARRAYS, _cut(floats[place:], told["shapes"]), strict=True)
        )
        place += sum(map(prod, told["shapes"]))
        made[name] = Regression(**arrays, **told["numbers"])
    return KernelNetworks(
        KernelTimes(head["measured_ns"], frozenset(head["names"]), made),
        Calibration(**head["calibration"]),
        head["kept"],
        np.array(head["errors"]),
        head["apart"],
        head["level"],
        head["runtime"],
    )


def _cut(floats: Floats, shapes: list[list[int]]) -> Iterator[Floats]:
    """The first arrays of those that lie one after the other."""
    for shape in shapes:
        yield floats[: prod(shape)].reshape(shape)
        floats = floats[prod(shape) :]
