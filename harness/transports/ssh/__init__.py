"""Linux boards, or any machine with an SSH server, as devices."""

from typing import Annotated

from pydantic import Field, field_validator

from harness.schema import Section, one_or_several
from harness.transports.kind import TransportKind, Way
from harness.transports.ssh.address import Address
from harness.transports.ssh.transport import SshTransport

__all__ = ["TRANSPORT", "Address", "SshTransport"]


class SshSection(Section):
    """`[ssh]`: how a board is reached."""

    host: Annotated[str, Field(pattern=r"^[^-\s][^\s]*$")] = (
        ""  # a Host of ~/.ssh/config, or [USER@]NAME
    )
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    python: Annotated[tuple[str, ...], Field(min_length=1)] = ("python3",)
    folder: Annotated[str, Field(min_length=1)] = ".cache/harness"  # of our files; from its home
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0  # for a board that went away

    _one_or_several = field_validator("python", mode="before")(one_or_several)


def _address(way: Way) -> Address:
    return Address(**way.settings.model_dump())


def _lacks(way: Way) -> str:
    if not _address(way).host:
        return "ssh.host: says which board, such as a Host of ~/.ssh/config"
    return ""


TRANSPORT = TransportKind(
    name="ssh",
    link="resident",
    open=lambda way: SshTransport(_address(way)),
    hardware=lambda way: f"ssh-{_address(way).host}",
    options=SshSection,
    match=("model", "processor", "gpu", "power_mode"),
    lacks=_lacks,
    is_edge=lambda way: bool(way.match.get("model")),  # else a server
)
