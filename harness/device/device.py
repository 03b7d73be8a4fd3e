"""A device: its profile made usable."""

import logging
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from harness import locks
from harness.device import lock
from harness.device.conditions import Limits
from harness.device.energy import EnergySession
from harness.device.memory import MemorySession
from harness.device.profile import Profile, full_name, load_profile
from harness.errors import DeviceBusy, DeviceError, DeviceNotFound
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import ResidentSession
from harness.runtimes.session import Session, StartingSession
from harness.transports.kind import Way
from harness.transports.transport import KeepingTransport, Transport

AGAIN_EVERY_S = 1.0

Result = TypeVar("Result")
_OURS: defaultdict[str, RLock] = defaultdict(RLock)


@dataclass(frozen=True)
class Device:
    """One way of running networks on one kind of hardware."""

    name: str
    profile: Profile
    benchmark_model: Path | None = None  # the runner on a phone, instead of the profile's
    range_images: Path | None = None  # from which int8 ranges are collected
    serial: str | None = None  # of several phones of one model
    waits: bool = False  # until nobody else uses it
    asked: Asked = field(default=NOTHING_ASKED, hash=False)  # what a user's model file is fed with

    def __str__(self) -> str:
        return self.name if self.serial is None else f"{self.name} ({self.serial})"

    @classmethod
    def find(cls, name: str, root: Path) -> "Device":
        """The device called `name`, or with that alias.

        Raises:
            ProfileError: there is none, or its profile is wrong.
        """
        name = full_name(name, root)
        return cls(name, load_profile(name, root))

    @property
    def options(self) -> RuntimeOptions:
        options = self.profile.options
        given: dict[str, object] = {"range_images": self.range_images, "asked": self.asked}
        if self.benchmark_model:
            given["own"] = options.own.model_copy(update={"path": self.benchmark_model})
        return options.model_copy(update=given)

    @property
    def limits(self) -> Limits:
        return Limits(**self.profile.conditions.model_dump())

    @property
    def clock(self) -> str:
        """The clock its latencies are read from: one of those of its runtime's samples."""
        return self.profile.runs_on.clock(self.options)

    @property
    def on_gpu(self) -> bool:
        """Whether networks run on an NVIDIA GPU."""
        return self.profile.runs_on.on_gpu(self.options)

    @property
    def way(self) -> Way:
        """How it is reached."""
        return self.profile.way(self.name, self.serial)

    @property
    def hardware(self) -> str:
        """What is measured, as far as the profile tells: equal names have to wait for each other.

        What is really at the other end says its own name once it is reached.
        """
        return self.profile.reached_by.hardware(self.way)

    @contextmanager
    def open(self, quantity: str = "latency") -> Iterator[Session]:
        """The device, held for us alone while the session is open; visits tell the quantity.

        Raises:
            DeviceBusy: another measurement holds it.
            DeviceError, MissingExtra: it cannot be used, or does not tell the quantity.
        """
        with self.reach() as transport, self.session(transport) as session:
            if quantity == "latency":
                yield session
            elif quantity == "memory":
                yield self._memories(session)
            elif isinstance(session, ResidentSession):
                yield EnergySession(session)
            elif self.profile.simulated:
                raise DeviceError(f"{self.name} is simulated, and its model tells no energies")
            else:
                raise DeviceError(
                    f"{self.name} tells no energies: the runtime {self.profile.runtime} is a "
                    "program of its own, and its counters are not read"
                )

    def _memories(self, session: Session) -> MemorySession:
        """Raises DeviceError where the runtime does not tell them."""
        if self.profile.simulated or not isinstance(session, StartingSession):
            raise DeviceError(f"{self.name}: {self.profile.runtime} tells no peak memory")
        return MemorySession(session)

    @contextmanager
    def reach(self) -> Iterator[Transport]:
        """A link to the device, held for us alone.

        Raises:
            DeviceBusy: another measurement holds it.
            DeviceError, MissingExtra: it cannot be reached.
        """
        with closing(self._patiently(self._transport)) as transport, self._alone(transport):
            yield transport

    @contextmanager
    def session(self, transport: Transport) -> Iterator[Session]:
        """The runtime on the device at the other end.

        Raises:
            DeviceError, MissingExtra: it cannot be started there.
        """
        with closing(self.profile.runs_on.open(transport, self.options)) as session:
            if not self.profile.reached_by.checks_match:
                self._check_match(session.environment)
            yield session

    def _check_match(self, environment: Mapping[str, str]) -> None:
        """Raises DeviceNotFound where something else than the profile says is at the other end."""
        for name, patterns in self.profile.match.model_dump(exclude_defaults=True).items():
            found = environment.get(name, "")
            if not any(fnmatchcase(found, pattern) for pattern in patterns):
                raise DeviceNotFound(
                    f"{self.name} wants {name} = {' or '.join(patterns)}, and what is there "
                    f"{f'is {found}' if found else 'has none'}; another kind needs a device of its "
                    "own"
                )

    def _transport(self) -> Transport:
        return self.profile.reached_by.open(self.way)

    @property
    def units(self) -> "tuple[Device, ...]":
        """A device for each phone that the profile names; itself where that is at most one."""
        serials = self.profile.reached_by.serials(self.way.settings)
        return tuple(replace(self, serial=serial) for serial in serials) or (self,)

    @contextmanager
    def _alone(self, transport: Transport) -> Iterator[None]:
        """One measurement at a time on each physical device; our own threads take turns."""
        if self.profile.simulated:
            yield
            return
        doing = f"measures {self}"
        with _OURS[transport.hardware], ExitStack() as stack:
            name = transport.hardware
            self._patiently(lambda: stack.enter_context(lock.held(name, doing)))
            if isinstance(transport, KeepingTransport):  # others may reach it, too
                owner = f"{locks.ourselves(doing)}, on {platform.node()}"
                self._patiently(lambda: transport.hold(owner))
            yield

    def _patiently(self, take: Callable[[], Result]) -> Result:
        """Take what somebody else may have; `waits`: as soon as it is free.

        Raises:
            DeviceBusy: it is not, and we are not to wait.
        """
        last_error = ""
        while True:
            try:
                return take()
            except DeviceBusy as error:
                if not self.waits:
                    raise DeviceBusy(f"cannot use {self}: {error}; --wait waits for it") from error
                if str(error) != last_error:
                    last_error = str(error)
                    logger = logging.getLogger(__name__)
                    logger.warning("harness: waiting for %s: %s", self, last_error)
                time.sleep(AGAIN_EVERY_S)

    def identity(self, session: Session) -> dict[str, Any]:
        """What must be equal for two measurements to be compared or merged."""
        profile = self.profile
        identity = {
            "processor": session.environment["processor"],
            "runtime": profile.runtime,
            "clock": self.clock,
            "conditions": profile.conditions.model_dump(),
        } | profile.runtime_options.model_dump()
        own = profile.runs_on.identity(self.options, session.environment)
        if profile.simulated:  # nothing else has an effect
            kept = ("processor", "runtime", "clock", "precision", "batch")
            return {name: identity[name] for name in kept} | own
        if identity["converter"] == "litert-torch":
            del identity["converter"]  # tables older than the choice do not have it
        if isinstance(session, EnergySession):
            identity |= {"clock": "net", "meter": session.meter}
        if isinstance(session, MemorySession):
            identity |= {"clock": "resident"}
        for name in ("gpu", "power_mode"):  # where there is one
            if name in session.environment:
                identity[name] = session.environment[name]
        return identity | own
