"""One measurement at a time on each physical device, whoever on this machine starts it."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import locks
from harness.errors import DeviceBusy, WorkspaceError

VARIABLE = "HARNESS_LOCKS"
SHARED, OTHERWISE = Path("/run/lock"), Path("/tmp")  # noqa: S108 - TMPDIR is another for each user


def folder() -> Path:
    """Where all users keep their locks: the same for all of them, whatever is in their homes.

    `HARNESS_LOCKS` names another, such as one that containers share.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    try:
        for_all = stat.S_IMODE(SHARED.stat().st_mode) == 0o1777
    except OSError:
        for_all = False
    return SHARED if for_all else OTHERWISE


@contextmanager
def held(hardware: str, doing: str) -> Iterator[None]:
    """Hold the hardware; `doing`: what we do with it, for others to read.

    Raises:
        DeviceBusy: another holds it, who is named.
        WorkspaceError: the lock cannot be made.
    """
    name = re.sub(r"[^\w.-]", "_", hardware)
    path = folder() / f"harness.{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = locks.taken(path)
    except OSError as error:
        raise WorkspaceError(
            f"cannot lock the device by {path}: {error.strerror}; {VARIABLE} names another folder "
            "for locks, which must be the same for all who measure on this machine"
        ) from error
    if file is None:
        what = "this computer" if hardware == "local" else hardware
        raise DeviceBusy(f"{what} is in use by {locks.said(path)}")
    with file:
        locks.say(file, doing)
        try:
            yield
        finally:
            file.truncate(0)
