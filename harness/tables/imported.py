"""Devices of others: what public tables say of whole networks on them, one file for each source.

Nothing here was measured by us. A spread is given where the source has one, fastest to slowest run;
there is no interval, as nobody measured again.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, with_config

from harness import files
from harness.errors import FileFormatError, TableError, UsageError
from harness.hints import nearest
from harness.schema import Ms, checked

SCHEMA = 1
PREFIX = "imported:"  # of a device's name, where other devices may be meant
_STRICT = ConfigDict(extra="forbid")


def _printable(text: str) -> str:
    """Whatever a terminal would take for a command becomes a space."""
    clean = "".join(each if each.isprintable() else " " for each in text).strip()
    if not clean:
        raise ValueError("nothing in it can be printed")
    return clean


_Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]


@with_config(_STRICT)
@dataclass(frozen=True)
class NetworkTime:
    """Of one network, as published."""

    latency_ms: Ms  # the mean, or the one time that there is
    fastest_ms: Ms | None = None
    slowest_ms: Ms | None = None
    memory_mb: Annotated[float, Field(ge=0, le=1e9)] | None = None  # the most, while it ran

    @property
    def full_speed_ms(self) -> float:
        """The fastest run, where the source tells it."""
        return self.fastest_ms or self.latency_ms


@with_config(_STRICT)
@dataclass(frozen=True)
class ImportedDevice:
    """A device with all that its source says of its setting."""

    name: _Text  # unique in its source
    title: _Text  # as the source has it
    runtime: _Text
    processor: Literal["cpu", "gpu", "npu"]
    networks: dict[_Text, NetworkTime]
    precision: _Text | None = None
    num_threads: Annotated[int, Field(ge=1, le=10**5)] | None = None
    cores: Literal["little", "big"] | None = None  # None: all

    def describe(self) -> str:
        parts = [self.title, self.runtime, self.precision, self.processor]
        if self.processor == "cpu" and self.num_threads:
            parts.append(f"{self.num_threads} threads")
        return ", ".join(filter(None, (*parts, f"{self.cores} cores" if self.cores else None)))


@dataclass(frozen=True)
class ImportedDevices:
    """All devices of one source."""

    name: str  # of the file: ncnn-published
    source: str
    devices: tuple[ImportedDevice, ...]

    def describe(self) -> str:
        titles = {device.title for device in self.devices}
        networks = {network for device in self.devices for network in device.networks}
        return (
            f"{len(titles)} devices in {len(self.devices)} settings, {len(networks)} whole "
            f"networks, imported from {self.source}"
        )

    def save(self, path: Path) -> None:
        """Write all, in one step."""
        header = {"kind": "imported", "schema": SCHEMA, "name": self.name, "source": self.source}
        rows = [header | {"devices": len(self.devices)}, *map(_to_json, self.devices)]
        files.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))

    @classmethod
    def load(cls, path: Path) -> "ImportedDevices":
        """Raises TableError where the file is broken (the line is named), or of another kind."""
        try:
            (_, header), *rows = list(files.read_lines(path))
            if not isinstance(header, dict) or (header.get("kind"), header.get("schema")) != (
                "imported",
                SCHEMA,
            ):
                raise TableError(f"{path} has no imported devices of schema {SCHEMA}")
            if header.get("devices") != len(rows):
                raise TableError(f"{path} has {len(rows)} of its {header.get('devices')} devices")
            devices = tuple(_from_json(row, f"{path}:{number}") for number, row in rows)
            (twice, often), *_ = Counter(d.name for d in devices).most_common(1) or [("", 0)]
            if often > 1:
                raise TableError(f"{path} has {twice} a second time; import it again")
            name, source = (_printable(str(header.get(each))) for each in ("name", "source"))
            return cls(name, source, devices)
        except TableError:
            raise
        except FileFormatError as error:
            raise TableError(str(error)) from error
        except ValueError as error:
            raise TableError(f"{path} is empty; import it again") from error


def _to_json(device: ImportedDevice) -> dict[str, Any]:
    """Without what is not known."""
    content = {name: value for name, value in asdict(device).items() if value is not None}
    networks = content["networks"].items()
    return content | {
        "networks": {
            name: {what: value for what, value in times.items() if value is not None}
            for name, times in networks
        }
    }


def _from_json(row: Any, where: str) -> ImportedDevice:
    try:
        return checked(ImportedDevice, row)
    except ValueError as error:
        raise TableError(f"{where}: {error}") from error


def named(devices: Iterable[ImportedDevice]) -> tuple[ImportedDevice, ...]:
    """The devices with names made of what tells them apart; of equal names, each with a number.

    Raises:
        TableError: there is none, or one has what no device has.
    """
    checked_ones = [_from_json(_to_json(device), "a device of it") for device in devices]
    found = [replace(device, name=_name(device)) for device in checked_ones]
    if not found:
        raise TableError("no time of any network in it")
    often, seen = Counter(device.name for device in found), Counter[str]()
    for index, device in enumerate(found):
        if often[device.name] > 1:
            seen[device.name] += 1
            found[index] = replace(device, name=f"{device.name}-{seen[device.name]}")
    return tuple(found)


def _name(device: ImportedDevice) -> str:
    """Small letters, digits and dashes: of the title what is in front of brackets and commas."""
    title = re.split(r"[(\[,]", device.title)[0] or device.title
    processor: str = device.processor
    if processor == "cpu" and device.num_threads:
        processor += str(device.num_threads)
    parts = (title, device.runtime, device.precision, processor, device.cores)
    text = "-".join(part[:200] for part in parts if part)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def load_all(folder: Path) -> tuple[ImportedDevices, ...]:
    """Every source that was imported, by name; a name that several sources have becomes
    `SOURCE/NAME` in each, so that all names differ."""
    sources = [
        replace(ImportedDevices.load(path), name=path.stem)
        for path in sorted(folder.glob("*.jsonl"))
    ]
    often = Counter(device.name for source in sources for device in source.devices)
    return tuple(
        replace(
            source,
            devices=tuple(
                replace(device, name=f"{source.name}/{device.name}")
                if often[device.name] > 1
                else device
                for device in source.devices
            ),
        )
        for source in sources
    )


def find_imported(name: str, sources: Sequence[ImportedDevices]) -> ImportedDevice:
    """The device of that name, with or without `imported:`, with or without its source in front;
    a beginning of one alone will do.

    Raises:
        UsageError: there is none, or several.
    """
    wanted = name.removeprefix(PREFIX)
    every = [
        (device, (short := device.name.rpartition("/")[2], f"{source.name}/{short}"))
        for source in sources
        for device in source.devices
    ]
    fitting = [device for device, spelled in every if wanted in spelled] or [
        device for device, spelled in every if any(s.startswith(wanted) for s in spelled)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not every:
        raise UsageError("no devices were imported; `harness tables import --format ncnn` does it")
    names = [each.name for each in fitting]
    if fitting:
        raise UsageError(f"{wanted!r} may be {len(names)} imported devices: {_few(names)}")
    known = nearest(wanted, sorted(device.name for device, _ in every))
    raise UsageError(f"no imported device called {wanted!r}; {known}")


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
