"""Where nothing is reached: a device that is simulated here."""

from harness.transports.kind import TransportKind, Way
from harness.transports.local import LocalTransport


def _hardware(way: Way) -> str:
    return f"simulated-{way.device}"


TRANSPORT = TransportKind(
    name="none",
    link="none",
    open=lambda way: LocalTransport(_hardware(way)),
    hardware=_hardware,
    is_edge=lambda _way: True,
)
