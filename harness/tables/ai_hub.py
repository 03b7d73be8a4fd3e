"""Qualcomm AI Hub's `perf.yaml`: what its models took on the phones and boards that it hosts.

https://github.com/quic/ai-hub-models, `qai_hub_models/models/NAME/perf.yaml`: by precision, part of
the model, device and runtime, ms; older files by model and device, us. A time is one number, the
estimate of their profiler; of memory the files tell the range of the peak.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from harness.errors import TableError
from harness.schema import Ms, checked
from harness.tables.imported import ImportedDevice, ImportedDevices, NetworkTime, named
from harness.tables.ofa_reading import read_yaml, table_files
from harness.tables.table_format import Imported, ImportRequest, TableFormat

_Memory = Annotated[float, Field(ge=0, le=1e15)]
_BYTES_PER_MB = 1e6
_SKIPPED = ("reference_device_info", "timestamp")


class _Range(TypedDict):
    min: _Memory
    max: _Memory


class _Measured(TypedDict, total=False):
    """What is read of one job; the rest is left aside."""

    inference_time_milliseconds: Ms | None
    estimated_peak_memory_range_mb: _Range | None
    inference_time: Ms | str | None  # us; "null" where it failed
    estimated_peak_memory_range: _Range | None  # bytes
    primary_compute_unit: str | None
    precision: str | None


_Processor = Literal["cpu", "gpu", "npu"]
_Key = tuple[str, str, str | None, _Processor]  # device, runtime, precision, processor


def read(asked: ImportRequest) -> Imported:
    """All devices in the files, each a perf.yaml, or in their folders.

    Raises:
        TableError: a file cannot be read, or is none of AI Hub's.
    """
    networks: dict[_Key, dict[str, NetworkTime]] = {}
    for path in table_files(asked.paths):
        content, found = read_yaml(path), False
        for (title, runtime, precision), network, value in _jobs(content):
            where = f"{path}: {network}, {title}, {runtime}"
            time, processor = _time(value, where)
            found = True
            if time is None:  # the job failed
                continue
            of_file = value.get("precision") if precision is None else precision
            key = (title, runtime, None if of_file is None else str(of_file), processor)
            if network in networks.setdefault(key, {}):
                raise TableError(f"{where}: a second time")
            networks[key][network] = time
        if not found:
            raise TableError(f"{path}: no perf.yaml of AI Hub: it has no performance_metrics")
    devices = (_device(key, times) for key, times in networks.items() if times)
    all_devices = ImportedDevices(asked.name, asked.source, named(devices))
    return Imported(all_devices, all_devices.describe())


def _device(key: _Key, times: dict[str, NetworkTime]) -> ImportedDevice:
    title, runtime, precision, processor = key
    return ImportedDevice(title, title, runtime, processor, times, precision)


def _jobs(content: Any) -> Iterator[tuple[tuple[str, str, str | None], str, dict[str, Any]]]:
    """Device, runtime and precision (None: the job tells it), network, and its values."""
    for precision, of_precision in _pairs(_part(content, "precisions")):
        for network, component in _pairs(_part(of_precision, "components")):
            for device, runtimes in _pairs(_part(component, "performance_metrics")):
                for runtime, job in _pairs(runtimes):
                    yield (device, runtime, precision), network, job
    models = _part(content, "models")
    for model in models if isinstance(models, list) else []:
        rows = _part(model, "performance_metrics")
        for row in rows if isinstance(rows, list) else []:
            device = _part(_part(row, "reference_device_info"), "name")
            for runtime, job in _pairs(row):
                if runtime not in _SKIPPED and isinstance(device, str):
                    yield (device, runtime, None), str(_part(model, "name")), job


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _pairs(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of a mapping: those of its values that are mappings."""
    if isinstance(value, dict):
        yield from ((str(key), each) for key, each in value.items() if isinstance(each, dict))


def _time(job: dict[str, Any], where: str) -> tuple[NetworkTime | None, _Processor]:
    """What a job measured (None: it failed), and on which processor most of it ran.

    Raises:
        TableError: a number is none.
    """
    try:
        row = checked(_Measured, {name: job.get(name) for name in _Measured.__annotations__})
    except ValueError as error:
        raise TableError(f"{where}: {error}") from error
    latency_ms, memory = row["inference_time_milliseconds"], row["estimated_peak_memory_range_mb"]
    memory_mb = memory and memory["max"]
    if latency_ms is None and isinstance(row["inference_time"], float):
        latency_ms, memory = row["inference_time"] / 1e3, row["estimated_peak_memory_range"]
        memory_mb = memory and memory["max"] / _BYTES_PER_MB
    processor = str(row["primary_compute_unit"]).lower()
    if latency_ms is None or processor not in ("cpu", "gpu", "npu"):
        return None, "cpu"
    return NetworkTime(latency_ms, memory_mb=memory_mb), cast("_Processor", processor)


FORMAT = TableFormat("ai_hub", read, unit="us")
