"""What ncnn's `benchncnn` prints, as its README collects it, and as rows of a CSV file.

https://github.com/Tencent/ncnn/tree/master/benchmark: a headline for each device, then runs, each
with its settings and a line for each network. `powersave` 1 are the little cores, 2 the big ones;
`gpu_device` -1 is the CPU. Networks whose name ends in `_int8` are quantised, on the CPU.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness import files
from harness.errors import FileFormatError, TableError
from harness.tables.imported import ImportedDevice, ImportedDevices, NetworkTime, named
from harness.tables.table_format import Imported, ImportRequest, TableFormat

COLUMNS = (
    *("device", "run", "num_threads", "powersave", "gpu_device"),
    *("model", "min_ms", "max_ms", "avg_ms"),
)
_CORES = {"1": "little", "2": "big"}
_TIME = re.compile(
    r"^\s*(\S+)\s+min\s*=\s*([\d.]+)\s+max\s*=\s*([\d.]+)\s+avg\s*=\s*([\d.]+)\s*$", re.ASCII
)
_SETTING = re.compile(r"^\s*(loop_count|num_threads|powersave|gpu_device)\s*=\s*(-?\d+)\s*$")


@dataclass
class _Run:
    """Lines of one run, as they come."""

    device: str
    setting: dict[str, str] = field(default_factory=dict)
    networks: dict[str, NetworkTime] = field(default_factory=dict)


def read(asked: ImportRequest) -> Imported:
    """All devices in the files, each README or CSV.

    Raises:
        TableError: a file cannot be read, or has no times; a time is none (its line is named).
    """
    devices = [device for path in asked.paths for device in _devices(path)]
    found = ImportedDevices(asked.name, asked.source, named(devices))
    return Imported(found, found.describe())


def _devices(path: Path) -> Iterator[ImportedDevice]:
    runs = _csv(path) if path.suffix.lower() == ".csv" else _readme(path)
    found = [run for run in runs if run.networks]
    if not found:
        raise TableError(
            f"{path}: no line is one of benchncnn (NAME min = 1.2 max = 1.3 avg = 1.2)"
        )
    for run in found:
        yield _device(run, str(path))


def _device(run: _Run, where: str) -> ImportedDevice:
    setting = {"num_threads": "1", "powersave": "0", "gpu_device": "-1"} | run.setting
    try:
        numbers = {name: int(value) for name, value in setting.items()}
    except ValueError as error:
        raise TableError(f"{where}: settings of {run.device:.60}: {error}") from error
    if not 1 <= numbers["num_threads"] <= 10**5:
        raise TableError(f"{where}: {numbers['num_threads']} threads of {run.device:.60}")
    return ImportedDevice(
        name=run.device,
        title=run.device,
        runtime="ncnn",
        precision=None,
        processor="cpu" if numbers["gpu_device"] < 0 else "gpu",
        networks=run.networks,
        num_threads=numbers["num_threads"],
        cores=_CORES.get(setting["powersave"]),  # type: ignore[arg-type]
    )


def _readme(path: Path) -> Iterator[_Run]:
    try:
        text = files.read_text(path)
    except FileFormatError as error:
        raise TableError(str(error)) from error
    run = _Run("")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            yield run
            run = _Run(line.lstrip("#").strip()[:1000])
        elif match := _SETTING.match(line):
            if match[1] == "loop_count" or match[1] in run.setting:  # the next run of the device
                yield run
                run = _Run(run.device)
            run.setting[match[1]] = match[2]
        elif match := _TIME.match(line):
            _add(run, match[1], match.groups()[1:], f"{path}:{number}")
    yield run


def _csv(path: Path) -> Iterable[_Run]:
    try:
        columns, rows = files.read_csv(path)
    except FileFormatError as error:
        raise TableError(str(error)) from error
    if lacking := [name for name in COLUMNS if name not in columns]:
        raise TableError(f"{path}: no column {lacking[0]}; it needs {', '.join(COLUMNS)}")
    runs: dict[tuple[str, ...], _Run] = {}
    for line, row in rows:
        where = f"{path}:{line}"
        if None in row.values() or not row["device"] or not row["model"]:
            raise TableError(f"{where}: a row that ends early")
        setting = {name: row[name] for name in ("num_threads", "powersave", "gpu_device")}
        key = (row["device"], row["run"], *setting.values())
        run = runs.setdefault(key, _Run(row["device"][:1000], setting))
        times = (row["min_ms"], row["max_ms"], row["avg_ms"])
        _add(run, row["model"], times, where)
    return runs.values()


def _add(run: _Run, network: str, times: Iterable[str | None], where: str) -> None:
    """Raises TableError where the times are none; a network that printed 0 was not run."""
    try:
        fastest, slowest, mean = (float(each or "") for each in times)
    except ValueError as error:
        raise TableError(f"{where}: a time of {network:.60} is no number") from error
    if network in run.networks:
        raise TableError(f"{where}: {network:.60} a second time in one run of {run.device:.60}")
    if not 0 <= fastest <= mean <= slowest < 1e9:
        raise TableError(
            f"{where}: {network:.60} takes {fastest:g} to {slowest:g} ms, in the mean {mean:g}"
        )
    if fastest > 0:
        run.networks[network] = NetworkTime(mean, fastest, slowest)


FORMAT = TableFormat("ncnn", read, unit="ms")
