"""Files of published latency tables: YAML, JSON or CSV, and the unit that their times are in."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import files
from harness.errors import FileFormatError, TableError, UsageError
from harness.hints import nearest

SUFFIXES = (".yaml", ".yml", ".json", ".csv")
_BESIDE = "checksums.json"  # no table: `harness fetch` leaves it beside them
UNITS_MS = {"ms": 1.0, "s": 1e3, "us": 1e-3, "ns": 1e-6}
SLOWEST, FASTEST = 2e7, 1e12
"""Multiply-accumulates a second of one image: PyTorch on a Jetson's CPU has 1e8, an A100 6e11."""
_MOST = 1e9  # no number of a row is beyond it; ms: eleven days


@dataclass(frozen=True)
class Row:
    """What a published table says of one workload."""

    mean_ms: float
    std_ms: float
    count: int  # runs that the mean is over


def table_files(paths: Iterable[Path]) -> list[Path]:
    """The files, and those in folders.

    Raises:
        TableError: a folder has none.
    """
    found = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = [each for each in sorted(path.iterdir()) if each.suffix.lower() in SUFFIXES]
            inside = [each for each in inside if each.name != _BESIDE]
        if not inside:
            raise TableError(f"{path}: the folder has no files {', '.join(SUFFIXES)}")
        found += inside
    return found


class _OnceOnly(yaml.SafeLoader):
    """Plain values; of a key that is there twice, YAML's own reader takes the last silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                raise TableError(f"{line}: the key {key.value!r} is there twice, first in {first}")
            lines[key.tag, key.value] = line
        return super().construct_mapping(node, deep)


def load_rows(path: Path) -> dict[str, Any]:
    """The rows of one file, their values not yet looked at.

    Raises:
        TableError: it cannot be read, or is no table; or a key is there twice.
    """
    rows = {".json": _json, ".csv": _csv}.get(path.suffix.lower(), read_yaml)(path)
    if not isinstance(rows, dict) or not all(isinstance(key, str) for key in rows):
        raise TableError(f"{path}: not a published latency table, a mapping of keys to rows")
    return rows


def _json(path: Path) -> Any:
    try:
        return files.read_json(path)
    except FileFormatError as error:
        raise TableError(str(error)) from error


def _csv(path: Path) -> Any:
    """A user's own measurements, with the columns key, mean, std and count."""
    found: dict[str, dict[str, float]] = {}
    try:
        files.check_regular(path)
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file)
            for row in lines:
                numbers = {"mean": float(row["mean"]), "std": float(row["std"])}
                if row["key"] in found:
                    raise TableError(f"{path}:{lines.line_num}: {row['key']!r} is there twice")
                found[row["key"]] = numbers | {"count": int(row["count"])}
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}") from error
    except FileFormatError as error:
        raise TableError(str(error)) from error
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise TableError(
            f"{path}: not a CSV file with numbers in the columns key, mean, std and count: {error}"
        ) from error
    return found


def read_yaml(path: Path) -> Any:
    """Plain values.

    Raises:
        TableError: it cannot be read, or a key is there twice.
    """
    try:
        files.check_regular(path)
        return yaml.load(path.read_text(encoding="utf-8"), _OnceOnly)  # noqa: S506  a safe one
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}") from error
    except TableError as error:
        raise TableError(f"{path}:{error}") from error
    except FileFormatError as error:
        raise TableError(str(error)) from error
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        reason = " ".join(str(error).split())  # some scalars, such as !!int '', raise whatever
        raise TableError(f"{path}: not a YAML file of plain values: {reason}") from error


def unit_ms(name: str | None) -> float:
    """The milliseconds in a unit; None: they are what it is.

    Raises:
        UsageError: there is no such unit.
    """
    if name is not None and name not in UNITS_MS:
        raise UsageError(f"no unit {name!r} of times; {nearest(name, UNITS_MS)}")
    return UNITS_MS[name or "ms"]


def row_of(value: Any, unit: float, where: str) -> Row:
    """A row whose times are in units of so many ms.

    Raises:
        TableError: its numbers are none that a row can have.
    """
    row: dict[str, Any] = value if isinstance(value, dict) else {}
    spread = "var" if "var" in row else "std"
    factors = {"mean": unit, spread: unit**2 if spread == "var" else unit, "count": 1.0}
    if not all(_is_number(row.get(name), _MOST / factor) for name, factor in factors.items()):
        raise TableError(f"{where}: not a row with the numbers mean, {spread} and count")
    mean, deviation, count = (row[name] for name in factors)
    if not (mean > 0 and isinstance(count, int) and count > 0):
        raise TableError(f"{where}: mean and count must be above 0, count whole")
    std = math.sqrt(deviation) if spread == "var" else deviation
    return Row(mean * unit, std * unit, count)


def _is_number(value: Any, below: float) -> bool:
    """Whether it is finite, not negative and of a size that a row can have."""
    return type(value) in (int, float) and 0 <= value < below


def check_plausible(macs: float, took_ms: float, where: str) -> None:
    """Whether times that nobody stated a unit of can be ms, by what they were taken for.

    Raises:
        TableError: nothing computes as fast, or as slowly, one image at a time.
    """
    per_s = macs / took_ms * 1e3
    if SLOWEST <= per_s <= FASTEST:
        return
    fitting = [name for name, ms in UNITS_MS.items() if SLOWEST <= per_s / ms <= FASTEST]
    raise TableError(
        f"{where}: taken for ms, these times mean {per_s:.2g} multiply-accumulates a second, which "
        f"is too {'fast' if per_s > FASTEST else 'slow'} to be true: state their unit, "
        f"{' or '.join(f'--unit {name}' for name in fitting or UNITS_MS)}; or --unit ms, if it "
        "is so"
    )
