"""The way to a device, step by step."""

from collections.abc import Iterator
from contextlib import contextmanager

from harness.device.conditions import UNKNOWN
from harness.device.device import Device
from harness.errors import DeviceFull, HarnessError
from harness.measuring.plan import sentinel
from harness.runtimes.resident import ResidentSession
from harness.spaces.digits import DIGITS
from harness.tables.batch import of_batch
from harness.transports.transport import KeepingTransport

FREE_MB = 200  # a small table's; large ones need 1 to 10 GB, and say so before they start


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Says at which step it stopped."""
    try:
        yield
    except HarnessError as error:
        if str(error).startswith("stopped at"):  # a step within
            raise
        raise type(error)(f"stopped at '{name}': {error}") from error


def check(device: Device) -> Iterator[tuple[str, str]]:
    """Each step on the way to a model that runs on the device, and what was found there.

    Raises:
        DeviceError, MissingExtra: a step failed; it is named, with what to do.
    """
    transport = device.profile.transport
    with _step(transport):
        if through := device.profile.reached_by.through(device.way):
            yield transport, through
    for unit in device.units:
        yield from _check_unit(unit)


def _check_unit(device: Device) -> Iterator[tuple[str, str]]:
    with _step("reach it"), device.reach() as transport:
        if not device.profile.simulated:
            yield "reached", transport.hardware
        if isinstance(transport, KeepingTransport):
            with _step("space"):
                yield "space", f"{_free_mb(transport):.0f} MB free for our files"
        with _step(device.profile.runtime), device.session(transport) as session:
            if device.profile.evidence:
                yield "simulated", device.profile.evidence
            for name, value in (device.identity(session) | dict(session.environment)).items():
                yield name, str(value)
            yield from device.profile.runs_on.steps(device.options)
            entry = sentinel(DIGITS)
            with _step("a model that runs"):
                session.prepare([entry.workload])
                session.load(entry.workload)
                fastest_ns = min(session.visit(entry.workload, 3).values["wall"])
            what = f"{entry.blocks[0].key}{of_batch(device.options.batch)}"
            yield "a model runs", f"{what} in {fastest_ns / 1e6:.4f} ms"
            if isinstance(session, ResidentSession):
                told = session.meter.name if session.meter else f"none: {session.no_meter}"
                yield "energy counter", told
            conditions = session.conditions()
            for name, value in conditions.items():
                yield name, UNKNOWN if value is None else str(value)
            limit_c = device.limits.max_temperature_c
            if conditions and limit_c is not None:
                unheld = device.limits.unheld(conditions)
                yield (
                    "max_temperature_c",
                    f"{UNKNOWN}: {unheld}" if unheld else f"{limit_c:g}, checked",
                )


def _free_mb(transport: KeepingTransport) -> float:
    """Raises DeviceFull where too little is free."""
    free_mb = transport.free_mb()
    if free_mb < FREE_MB:
        raise DeviceFull(f"only {free_mb:.0f} MB are free there, {FREE_MB} are needed")
    return free_mb
