"""Android phones over ADB: through a running adb server, or directly over TCP or USB."""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.errors import UsageError
from harness.schema import Section, one_or_several
from harness.transports.adb.backends import backend_named
from harness.transports.adb.choice import Wanted
from harness.transports.adb.server import Server
from harness.transports.adb.transport import AdbTransport
from harness.transports.kind import TransportKind, Way

__all__ = ["TRANSPORT", "AdbSection"]


class AdbSection(Section):
    """`[adb]`: how a phone is reached."""

    backend: Literal["auto", "server", "direct"] = "auto"
    server: str = ""  # HOST:PORT of an adb server on another computer
    serial: tuple[Annotated[str, Field(min_length=1)], ...] = ()  # of its USB, or HOST:PORT
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0  # for a phone that went away

    _one_or_several = field_validator("serial", mode="before")(one_or_several)

    @field_validator("server")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            Server.at(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _server_is_asked(self) -> Self:
        if self.server and self.backend == "direct":
            raise ValueError("server: backend = 'direct' asks none")
        return self

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
    serial = way.serial or next(iter(adb.serial), None)
    return Wanted(way.match, serial, adb.backend, adb.server)


def _hardware(way: Way) -> str:
    match = json.dumps(way.match, separators=(",", ":"), ensure_ascii=False)
    wanted = _wanted(way)
    at = f"{wanted.server}-" if wanted.server else ""
    return f"adb-{at}{wanted.serial or match}"


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
    through=lambda way: backend_named(_wanted(way).backend, _wanted(way).server).name,
)
