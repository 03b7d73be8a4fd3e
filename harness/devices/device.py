"""A device: its profile made usable."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.devices.conditions import Limits
from harness.devices.profile import Profile, load_profile
from harness.errors import DeviceBusy
from harness.runtimes.conversion.cache import cache_folder
from harness.runtimes.session import RuntimeOptions, Session
from harness.transports.local import LocalTransport


@dataclass(frozen=True)
class Device:
    """One way of running networks on one kind of hardware."""

    name: str
    profile: Profile

    @classmethod
    def find(cls, name: str, root: Path) -> "Device":
        """The device called `name`.

        Raises:
            ProfileError: there is none, or its profile is wrong.
        """
        return cls(name, load_profile(name, root))

    @property
    def options(self) -> RuntimeOptions:
        return RuntimeOptions(**self.profile.runtime_options.model_dump())

    @property
    def limits(self) -> Limits:
        return Limits(**self.profile.conditions.model_dump())

    @property
    def clock(self) -> str:
        """The clock its latencies are read from.

        One thread in our own process: CPU time of that thread, which other load on the machine
        does not lengthen. Everything else: wall time.
        """
        return "thread" if self.options.num_threads == 1 else "wall"

    @property
    def hardware(self) -> str:
        """The physical device: those with the same name cannot be measured at the same time."""
        return self.profile.transport

    @contextmanager
    def open(self) -> Iterator[Session]:
        """The device, held for us alone while the session is open.

        Raises:
            DeviceBusy: another measurement holds it.
            DeviceError, MissingExtra: it cannot be used.
        """
        with self._lock():
            runtime = import_module(f"harness.runtimes.{self.profile.runtime}")
            transport = LocalTransport()
            session: Session = runtime.open_session(transport, self.options)
            try:
                yield session
            finally:
                session.close()
                transport.close()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One measurement at a time on each physical device."""
        folder = cache_folder() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f"{self.hardware}.lock", timeout=0):
                yield
        except Timeout as error:
            raise DeviceBusy(
                f"{self.name} is being measured by another run of harness; wait for it to end"
            ) from error

    def identity(self, session: Session) -> dict[str, Any]:
        """What must be equal for two measurements to be compared or merged."""
        profile = self.profile
        return {
            "processor": session.environment["processor"],
            "runtime": profile.runtime,
            "clock": self.clock,
            "conditions": profile.conditions.model_dump(),
        } | profile.runtime_options.model_dump()
