"""A device: its profile made usable."""

import logging
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from harness import locks
from harness.devices import lock
from harness.devices.conditions import Limits
from harness.devices.energy import EnergySession
from harness.devices.profile import Profile, full_name, load_profile
from harness.devices.sections import TorchSection
from harness.errors import DeviceBusy, DeviceError, DeviceNotFound
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.resident import ResidentSession
from harness.runtimes.session import (
    BenchmarkModelOptions,
    DpuOptions,
    RuntimeOptions,
    Session,
    TensorrtOptions,
    TorchOptions,
)
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport
from harness.transports.local import LocalTransport
from harness.transports.ssh import Address, SshTransport
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
        runner = BenchmarkModelOptions(**self.profile.benchmark_model.model_dump())
        return RuntimeOptions(
            **self.profile.runtime_options.model_dump(),
            range_images=self.range_images,
            asked=self.asked,
            benchmark_model=replace(runner, path=self.benchmark_model or runner.path),
            torch=TorchOptions(**self.profile.torch.model_dump()),
            tensorrt=TensorrtOptions(**self.profile.tensorrt.model_dump()),
            dpu=DpuOptions(**self.profile.dpu.model_dump()),
        )

    @property
    def limits(self) -> Limits:
        return Limits(**self.profile.conditions.model_dump())

    @property
    def clock(self) -> str:
        """The clock its latencies are read from.

        On a GPU or a simulated accelerator: its own. One thread in our own process: CPU time of
        that thread, without the time that other programs are given. Everything else: wall time.
        """
        if self.on_gpu or self.profile.simulated:
            return "device"
        ours = self.profile.runtime != "benchmark_model"
        return "thread" if ours and self.options.num_threads == 1 else "wall"

    @property
    def on_gpu(self) -> bool:
        """Whether networks run on an NVIDIA GPU."""
        return self.profile.runtime == "tensorrt" or self.profile.torch.device == "cuda"

    @property
    def hardware(self) -> str:
        """What is measured, as far as the profile tells: equal names have to wait for each other.

        What is really at the other end says its own name once it is reached.
        """
        profile = self.profile
        if profile.transport == "local":
            return "local"
        if profile.transport == "none":
            return f"simulated-{self.name}"
        if profile.transport == "ssh":
            return f"ssh-{profile.ssh.host}"
        match = profile.match.model_dump_json(exclude_defaults=True)
        return f"adb-{self.wanted.serial or match}"

    @contextmanager
    def open(self, quantity: str = "latency") -> Iterator[Session]:
        """The device, held for us alone while the session is open; visits tell the quantity.

        Raises:
            DeviceBusy: another measurement holds it.
            DeviceError, MissingExtra: it cannot be used, or does not tell its energy.
        """
        with self.reach() as transport, self.session(transport) as session:
            if quantity == "latency":
                yield session
            elif isinstance(session, ResidentSession):
                yield EnergySession(session)
            elif self.profile.simulated:
                raise DeviceError(f"{self.name} is simulated, and its model tells no energies")
            else:
                raise DeviceError(
                    f"{self.name} tells no energies: the runtime {self.profile.runtime} is a "
                    "program of its own, and its counters are not read"
                )

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
        runtime = import_module(f"harness.runtimes.{self.profile.runtime}")
        with closing(runtime.open_session(transport, self.options)) as session:
            if self.profile.transport in ("local", "ssh"):
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
        if self.profile.transport in ("local", "none"):
            return LocalTransport(self.hardware)
        if self.profile.transport == "ssh":
            return SshTransport(Address(**self.profile.ssh.model_dump()))
        return AdbTransport(self.wanted, self.profile.adb.wait_s)

    @property
    def wanted(self) -> Wanted:
        """Which phone it must be."""
        adb = self.profile.adb
        match = self.profile.match.model_dump(exclude_defaults=True)
        serial = self.serial or next(iter(adb.serial), None)
        return Wanted(match, serial, adb.backend)

    @property
    def units(self) -> "tuple[Device, ...]":
        """A device for each phone that the profile names; itself where that is at most one."""
        serials = self.profile.adb.serial
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
        told = ""
        while True:
            try:
                return take()
            except DeviceBusy as error:
                if not self.waits:
                    raise DeviceBusy(f"cannot use {self}: {error}; --wait waits for it") from error
                if str(error) != told:
                    told = str(error)
                    logger = logging.getLogger(__name__)
                    logger.warning("harness: waiting for %s: %s", self, told)
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
        if profile.simulated:  # nothing else has an effect
            kept = ("processor", "runtime", "clock", "precision", "batch")
            return {name: identity[name] for name in kept} | {"dpu": profile.dpu.model_dump()}
        if identity["converter"] == "litert-torch":
            del identity["converter"]  # tables older than the choice do not have it
        if isinstance(session, EnergySession):
            identity |= {"clock": "net", "meter": session.meter}
        for name in ("gpu", "power_mode"):  # where there is one
            if name in session.environment:
                identity[name] = session.environment[name]
        if profile.torch != TorchSection():
            identity["torch"] = profile.torch.model_dump()
        if profile.runtime == "tensorrt":
            identity["tensorrt"] = profile.tensorrt.model_dump(mode="json", exclude={"trtexec"})
        if profile.runtime == "benchmark_model":
            identity["benchmark_model"] = profile.benchmark_model.model_dump(
                mode="json", exclude={"path"}
            )
            identity["battery_saver"] = session.environment["battery_saver"]
        return identity
