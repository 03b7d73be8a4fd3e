"""Which phone is meant: never the first one found."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from harness.errors import DeviceError, DeviceNotFound, DeviceOffline, TargetStalled
from harness.transports.adb.backends import candidates
from harness.transports.adb.link import Backend, Link
from harness.transports.adb.shell import run_shell
from harness.transports.plausible import one_line
from harness.transports.transport import Patience

PROPERTIES = {
    "model": "ro.product.model",
    "device": "ro.product.device",
    "manufacturer": "ro.product.manufacturer",
    "soc": "ro.soc.model",
    "serialno": "ro.serialno",
    "booted": "sys.boot_completed",
}
ASK_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Wanted:
    """Which phone, by which way: the sections `match` and `[adb]` of a profile."""

    match: Mapping[str, Sequence[str]] = field(default_factory=dict)  # patterns, any of them
    serial: str | None = None  # of its USB, or HOST:PORT
    backend: str = "auto"
    server: str = ""  # HOST:PORT of another computer's


@dataclass(frozen=True)
class Phone:
    """A phone with a link to it."""

    serial: str
    link: Link
    properties: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.properties.get('model') or 'unknown model'} ({self.serial})"


def find_phone(backend: Backend, wanted: Wanted) -> Phone:
    """The one phone that is wanted, linked.

    Raises:
        DeviceNotFound: none matches (all are named), or several do.
        DeviceUnauthorized, DeviceOffline, DeviceBusy: the only one attached cannot be used.
    """
    serial = wanted.serial or os.environ.get("ANDROID_SERIAL")
    attached = candidates(backend, serial)
    fitting: list[Phone] = []
    others: list[str] = []
    failed: list[DeviceError] = []
    for each in attached:
        try:
            phone = linked(backend, each.serial)
        except DeviceError as error:
            failed.append(error)
            continue
        if fits(phone.properties, wanted.match):
            fitting.append(phone)
        else:
            others.append(str(phone))
            phone.link.close()
    if len(fitting) == 1:
        return fitting[0]
    for phone in fitting:
        phone.link.close()
    if fitting:
        raise DeviceNotFound(
            f"{len(fitting)} attached phones match: {', '.join(map(str, fitting))}; say which by "
            "serial under [adb] in the profile, by --serial where there is none yet, or by "
            "ANDROID_SERIAL"
        )
    if failed and not others:
        raise failed[0]
    raise DeviceNotFound(
        f"no attached phone is {_describe(wanted.match)}: "
        + "; ".join([*others, *map(str, failed)])
        + "; another phone needs a device of its own: `harness devices add NAME`"
    )


def linked(backend: Backend, serial: str) -> Phone:
    """A link to a phone, and what it says it is.

    Raises:
        DeviceError: it cannot be linked, or does not answer.
    """
    try:
        link = backend.link(serial)
    except TimeoutError as error:
        raise DeviceOffline(f"the phone {serial} does not answer") from error
    try:
        properties = read_properties(link)
        if properties["booted"] != "1":  # adbd is up long before Android is
            raise DeviceOffline(f"the phone {serial} is still starting")
    except TargetStalled as error:
        link.close()
        raise DeviceOffline(f"the phone {serial} does not answer: {error}") from error
    except BaseException:
        link.close()
        raise
    return Phone(serial, link, properties)


def read_properties(link: Link) -> dict[str, str]:
    """What the phone is, by the names that `match` uses."""
    script = "; ".join(f"getprop {name}" for name in PROPERTIES.values())
    patience = Patience("the phone's getprop", ASK_TIMEOUT_S, ASK_TIMEOUT_S)
    answer = run_shell(link, ["sh", "-c", script], b"", patience)
    lines = answer.text.splitlines()
    if answer.status or len(lines) != len(PROPERTIES):
        raise DeviceError(f"the phone does not say what it is: {answer.complaint()}")
    return dict(zip(PROPERTIES, map(one_line, lines), strict=True))


def fits(properties: Mapping[str, str], match: Mapping[str, Sequence[str]]) -> bool:
    return all(
        any(fnmatchcase(properties.get(name, ""), pattern) for pattern in patterns)
        for name, patterns in match.items()
    )


def _describe(match: Mapping[str, Sequence[str]]) -> str:
    return " and ".join(f"{name} {' or '.join(values)}" for name, values in match.items())
