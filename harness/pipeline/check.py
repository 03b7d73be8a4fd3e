"""The way to a device, step by step, and a profile written from a phone at hand."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from glob import escape
from pathlib import Path

import tomli_w

from harness import files
from harness.devices.device import Device
from harness.errors import DeviceError, DeviceFull, HarnessError, UsageError
from harness.measuring.plan import sentinel
from harness.runtimes.phone import core_mask, read_facts
from harness.spaces.digits import DIGITS
from harness.transports.adb.backends import backend_named
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport

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
    if device.profile.transport == "adb":
        with _step("adb"):
            yield "adb", backend_named(device.wanted.backend).name
    for unit in device.units:
        yield from _check_unit(unit)


def _check_unit(device: Device) -> Iterator[tuple[str, str]]:
    with _step("reach it"), device.reach() as transport:
        yield "reached", transport.hardware
        if isinstance(transport, AdbTransport):
            with _step("space"):
                yield "space", f"{_free_mb(transport):.0f} MB free on the phone"
        with _step(device.profile.runtime), device.session(transport) as session:
            for name, value in (device.identity(session) | dict(session.environment)).items():
                yield name, str(value)
            entry = sentinel(DIGITS)
            with _step("a model that runs"):
                session.prepare([entry.workload])
                session.load(entry.workload)
                fastest_ns = min(session.visit(entry.workload, 3).values["wall"])
            yield "a model runs", f"{entry.blocks[0].key} in {fastest_ns / 1e6:.4f} ms"
            for name, value in session.conditions().items():
                yield name, "unknown" if value is None else str(value)


def _free_mb(transport: AdbTransport) -> float:
    """Raises DeviceFull where too little is free."""
    free_mb = transport.free_mb()
    if free_mb < FREE_MB:
        raise DeviceFull(f"only {free_mb:.0f} MB are free on the phone, {FREE_MB} are needed")
    return free_mb


def add_phone(name: str, serial: str | None, root: Path) -> Path:
    """Write `root/devices/NAME.toml` from the attached phone.

    Raises:
        UsageError: that is no name, or the file is there.
        DeviceError: no phone can be reached, or several.
    """
    path = root / "devices" / f"{name}.toml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(f"{name!r} is no name of a device: small letters, digits, - and _")
    if path.exists():
        raise UsageError(f"{path} is there already; change it, or choose another name")
    with closing(AdbTransport(Wanted(serial=serial))) as transport:
        facts = read_facts(transport)
        try:
            core_mask(transport, "big")
            cpus = "big"
        except DeviceError as error:
            if type(error) is not DeviceError:  # the link, not the cores
                raise
            cpus = "any"
    profile = {
        "title": f"{facts.get('manufacturer', '')} {facts['model']}".strip(),
        "transport": "adb",
        "runtime": "benchmark_model",
        "match": {"model": [escape(facts["model"])]},
        "runtime_options": {"num_threads": 1, "cpus": cpus, "precision": "float32", "batch": 1},
        "conditions": {"max_temperature_c": 40},
    }
    if serial is not None:
        profile["adb"] = {"serial": serial}
    files.write_text(path, tomli_w.dumps(profile))
    return path
