"""Blocks timed on a real DPU, in a CSV file."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import FileFormatError
from harness.files import read_csv
from harness.spaces.block import Block
from harness.spaces.space import make_divisible

COLUMNS = (
    *("block_type", "cin", "h", "w", "cout", "kernel", "expand", "stride", "act", "se"),
    "hw_ms",
)
DIVISOR = 8  # of inner channels
SQUEEZE = 4  # inner channels to one of the squeeze


@dataclass(frozen=True)
class Measured:
    """A block and the time it took on the DPU alone, without the driver's call."""

    block: Block
    latency_ms: float
    stage: str  # of its network, where the file tells
    loaded_bytes: int | None  # as the compiler has it
    saved_bytes: int | None
    where: str = field(default="", compare=False)  # file and line


def read(path: Path) -> list[Measured]:
    """Measurements in a CSV file with the columns COLUMNS, and if known `stage`, `load_bytes`,
    `save_bytes`.

    A row is a `conv` or an `mbconv`; `expand` multiplies the input channels (1: no expansion),
    `se` is 1 with a squeeze-and-excitation of a quarter. A residual is where it can be.

    Raises:
        FileFormatError: the file is broken (the line is named), or empty.
    """
    columns, rows = read_csv(path)
    if not rows:
        raise FileFormatError(f"{path} holds no measurements")
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise FileFormatError(
            f"{path} lacks the column {lacking[0]}; it has {', '.join(columns)} (commas separate)"
        )
    found = []
    for number, row in rows:
        try:
            found.append(_measured(row, f"{path}:{number}"))
        except (ValueError, TypeError, OverflowError, FileFormatError) as error:
            raise FileFormatError(f"{path}:{number}: not a measured block: {error}") from error
    return found


def _measured(row: dict[str, str], where: str) -> Measured:
    missing = [name for name in COLUMNS if not row.get(name)]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    latency_ms = float(row["hw_ms"])
    if not 0 < latency_ms < math.inf:
        raise ValueError(f"hw_ms is {row['hw_ms']}")
    loaded, saved = (row.get(name) or None for name in ("load_bytes", "save_bytes"))
    return Measured(
        _block(row),
        latency_ms,
        row.get("stage") or "",
        int(loaded) if loaded else None,
        int(saved) if saved else None,
        where,
    )


def _block(row: dict[str, str]) -> Block:
    """Raises ValueError or FileFormatError where the columns make no block."""
    kind, act = row["block_type"], row["act"]
    if kind not in ("conv", "mbconv"):
        raise ValueError(f"block_type {kind!r} is neither conv nor mbconv")
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
    made = Block(kind, height, width, inputs, mid, outputs, kernel, stride, act, squeeze, residual)
    return Block.parse(made.key)  # known activations only
