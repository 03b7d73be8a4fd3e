"""Blocks timed on a real DPU, in a CSV file."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import FileFormatError
from harness.files import read_csv
from harness.spaces.convolution import Convolution
from harness.spaces.space import make_divisible

COLUMNS = (
    *("block_type", "cin", "h", "w", "cout", "kernel", "expand", "stride", "act", "se"),
    "hw_ms",
)
NEEDED = {"conv": COLUMNS, "mbconv": COLUMNS, "linear": ("cin", "cout"), "pool": ("cin", "h", "w")}
"""The kinds that are read, and what their rows must tell besides the time."""
OTHER_NAMES = {"fc": "linear", "dense": "linear", "avgpool": "pool"}
DIVISOR = 8  # of inner channels
LONGEST_MS = 86_400e3  # of a block, a day
SQUEEZE = 4  # inner channels to one of the squeeze


@dataclass(frozen=True)
class Measured:
    """A block and the time it took on the DPU alone, without the driver's call."""

    block: Convolution
    latency_ms: float
    stage: str  # of its network, where the file tells
    loaded_bytes: int | None  # as the compiler has it
    saved_bytes: int | None
    where: str = field(default="", compare=False)  # file and line


def read(path: Path, skip: Collection[str] = ()) -> list[Measured]:
    """Measurements in a CSV file with the columns COLUMNS, and if known `stage`, `load_bytes`,
    `save_bytes`; rows of the types in `skip` are left aside.

    A row is a `conv`, an `mbconv`, a `linear` (or `fc`, `dense`: a fully connected layer, whose
    other columns may be empty) or a `pool` (over the whole map); `expand` multiplies the input
    channels (1: no expansion), `se` is 1 with a squeeze-and-excitation of a quarter. A residual is
    where it can be.

    Raises:
        FileFormatError: the file is broken (the line is named), empty, or has rows of a type that
            is neither known nor skipped.
    """
    found = []
    for number, row in _rows(path):
        if _type(row) in _lower(skip):
            continue
        try:
            found.append(_measured(row, f"{path}:{number}"))
        except (ValueError, TypeError, OverflowError, FileFormatError) as error:
            raise FileFormatError(f"{path}:{number}: not a measured block: {error}") from error
    if not found:
        raise FileFormatError(f"{path} holds nothing but rows of types to skip")
    return found


def left_aside(path: Path, skip: Collection[str]) -> Counter[str]:
    """How many rows `read` skips, by their type. Raises FileFormatError as `read` does."""
    return Counter(kind for _, row in _rows(path) if (kind := _type(row)) in _lower(skip))


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Each with its line."""
    columns, rows = read_csv(path)
    if not rows:
        raise FileFormatError(f"{path} holds no measurements")
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise FileFormatError(
            f"{path} lacks the column {lacking[0]}; it has {', '.join(columns)} (commas separate)"
        )
    return rows


def _lower(skip: Collection[str]) -> set[str]:
    return {name.lower() for name in skip}


def _type(row: dict[str, str]) -> str:
    return (row["block_type"] or "").strip().lower()


def _measured(row: dict[str, str], where: str) -> Measured:
    kind = OTHER_NAMES.get(_type(row), _type(row))
    if kind not in NEEDED:
        raise ValueError(
            f"block_type {row['block_type']!r} is none of {', '.join((*NEEDED, *OTHER_NAMES))}; "
            f"`--skip {row['block_type']}` leaves such rows aside"
        )
    missing = [name for name in (*NEEDED[kind], "hw_ms") if not row.get(name)]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    latency_ms = float(row["hw_ms"])
    if not 0 < latency_ms <= LONGEST_MS:
        raise ValueError(f"hw_ms is {row['hw_ms']}")
    loaded, saved = (row.get(name) or None for name in ("load_bytes", "save_bytes"))
    return Measured(
        Convolution.parse(_MAKERS[kind](row).key),  # known activations only
        latency_ms,
        row.get("stage") or "",
        int(loaded) if loaded else None,
        int(saved) if saved else None,
        where,
    )


def _convolution(row: dict[str, str]) -> Convolution:
    """A `conv` or `mbconv`; raises ValueError where the columns make none."""
    kind = _type(row)
    names = ("h", "w", "cin", "cout", "kernel", "stride")
    height, width, inputs, outputs, kernel, stride = (int(row[name]) for name in names)
    if min(height, width, inputs, outputs, kernel, stride) < 1 or kernel % 2 == 0:
        raise ValueError("sizes must be above 0, kernels odd")
    if stride > 2 or row["se"] not in ("0", "1"):
        raise ValueError(f"stride {stride} is not 1 or 2, or se {row['se']} not 0 or 1")
    mid = squeeze = 0
    if kind == "mbconv":
        expand = float(row["expand"])
        if not 1 <= expand <= 100:
            raise ValueError(f"expand is {row['expand']}")
        mid = inputs if expand == 1 else make_divisible(round(inputs * expand), DIVISOR)
        squeeze = make_divisible(mid // SQUEEZE, DIVISOR) if int(row["se"]) else 0
    residual = kind == "mbconv" and stride == 1 and inputs == outputs
    act = row["act"]
    return Convolution(
        kind, height, width, inputs, mid, outputs, kernel, stride, act, squeeze, residual
    )


def _linear(row: dict[str, str]) -> Convolution:
    inputs, outputs = int(row["cin"]), int(row["cout"])
    if min(inputs, outputs) < 1 or {row.get(name) or "1" for name in ("h", "w")} != {"1"}:
        raise ValueError("sizes must be above 0, and a fully connected layer is of a 1 x 1 map")
    return Convolution("linear", 1, 1, inputs, 0, outputs, 1, 1, row.get("act") or "none", 0, False)


def _pool(row: dict[str, str]) -> Convolution:
    height, width, channels = (int(row[name]) for name in ("h", "w", "cin"))
    if min(height, width, channels) < 1 or int(row.get("kernel") or 0) not in (0, height):
        raise ValueError("sizes must be above 0, and a pool is over the whole map")
    return Convolution("pool", height, width, channels, 0, channels, 1, 1, "none", 0, False)


_MAKERS: dict[str, Callable[[dict[str, str]], Convolution]] = {
    "conv": _convolution,
    "mbconv": _convolution,
    "linear": _linear,
    "pool": _pool,
}
