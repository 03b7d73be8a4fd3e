"""Android phones over ADB: through a running adb server, or directly over TCP or USB."""

import json
from typing import Annotated, Literal

from pydantic import Field, field_validator

from harness.schema import Section, one_or_several
from harness.transports.adb.backends import backend_named
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport
from harness.transports.kind import TransportKind, Way

__all__ = ["TRANSPORT", "AdbSection"]


class AdbSection(Section):
    """`[adb]`: how a phone is reached."""

    backend: Literal["auto", "server", "direct"] = "auto"
    serial: tuple[Annotated[str, Field(min_length=1)], ...] = ()  # of its USB, or HOST:PORT
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0  # for a phone that went away

    _one_or_several = field_validator("serial", mode="before")(one_or_several)

    @field_validator("serial")
    @classmethod
    def _all_different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a phone twice")
        return value


def _adb(settings: Section) -> AdbSection:
    assert isinstance(settings, AdbSection)
    return settings


def _wanted(way: Way) -> Wanted:
    """Which phone it must be."""
    adb = _adb(way.settings)
    return Wanted(way.match, way.serial or next(iter(adb.serial), None), adb.backend)


def _hardware(way: Way) -> str:
    match = json.dumps(way.match, separators=(",", ":"), ensure_ascii=False)
    return f"adb-{_wanted(way).serial or match}"


def _lacks(way: Way) -> str:
    if not any(way.match.values()):
        return "match: says which phone it must be, such as { model = 'Pixel 2' }"
    return ""


TRANSPORT = TransportKind(
    name="adb",
    link="android",
    open=lambda way: AdbTransport(_wanted(way), _adb(way.settings).wait_s),
    hardware=_hardware,
    options=AdbSection,
    match=("model", "device", "manufacturer", "soc"),
    checks_match=True,
    lacks=_lacks,
    is_edge=lambda _way: True,
    serials=lambda settings: _adb(settings).serial,
    through=lambda way: backend_named(_wanted(way).backend).name,
)
