"""The way to a device, step by step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.device.device import Device
from harness.errors import DeviceFull, HarnessError
from harness.measuring.plan import sentinel
from harness.runtimes.resident import ResidentSession
from harness.spaces.digits import DIGITS
from harness.transports.transport import KeepingTransport

FREE_MB = 200  # a small table's; large ones need 1 to 10 GB, and stop where a file does not fit


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Says at which step it stopped."""
    try:
        yield
    except HarnessError as error:
        if str(error).startswith("stopped at"):  # a step within
            raise
        raise type(error)(f"stopped at '{name}': {error}") from error


@dataclass(frozen=True)
class FreeSpace:
    """For our files."""

    mb: float


@dataclass(frozen=True)
class ModelRuns:
    """The sentinel, as fast as it ran."""

    block: str
    images: int  # of a run
    latency_ms: float


@dataclass(frozen=True)
class TemperatureLimit:
    """Of the profile, and what stands against checking it ("": nothing)."""

    celsius: float
    unheld: str


@dataclass(frozen=True)
class Step:
    """A step on the way to a device, and what was found there."""

    name: str
    found: str | float | FreeSpace | ModelRuns | TemperatureLimit | None  # None: not known


def check(device: Device) -> Iterator[Step]:
    """Each step on the way to a model that runs on the device, and what was found there.

    Raises:
        DeviceError, MissingExtra: a step failed; it is named, with what to do.
    """
    transport = device.profile.transport
    with _step(transport):
        if through := device.profile.reached_by.through(device.way):
            yield Step(transport, through)
    for unit in device.units:
        yield from _check_unit(unit)


def _check_unit(device: Device) -> Iterator[Step]:
    with _step("reach it"), device.reach() as transport:
        if not device.profile.simulated:
            yield Step("reached", transport.hardware)
        if isinstance(transport, KeepingTransport):
            with _step("space"):
                yield Step("space", FreeSpace(_free_mb(transport)))
        with _step(device.profile.runtime), device.session(transport) as session:
            if device.profile.evidence:
                yield Step("simulated", device.profile.evidence)
            for name, value in (device.identity(session) | dict(session.environment)).items():
                yield Step(name, str(value))
            for name, result in device.profile.runs_on.steps(device.options):
                yield Step(name, result)
            entry = sentinel(DIGITS)
            with _step("a model that runs"):
                session.prepare([entry.workload])
                session.load(entry.workload)
                fastest_ns = min(session.visit(entry.workload, 3).values["wall"])
            ran = ModelRuns(entry.blocks[0].key, device.options.batch, fastest_ns / 1e6)
            yield Step("a model runs", ran)
            if isinstance(session, ResidentSession):
                result = session.meter.name if session.meter else f"none: {session.no_meter}"
                yield Step("energy counter", result)
            conditions = session.conditions()
            for name, value in conditions.items():
                yield Step(name, value)
            limit_c = device.limits.max_temperature_c
            if conditions and limit_c is not None:
                limit = TemperatureLimit(limit_c, device.limits.unheld(conditions) or "")
                yield Step("max_temperature_c", limit)


def _free_mb(transport: KeepingTransport) -> float:
    """Raises DeviceFull where too little is free."""
    free_mb = transport.free_mb()
    if free_mb < FREE_MB:
        raise DeviceFull(f"only {free_mb:.0f} MB are free there, {FREE_MB} are needed")
    return free_mb
