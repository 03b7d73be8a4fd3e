"""Links that are made anew when they break: a device may be unplugged, or start anew."""

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from harness.errors import DeviceError, DeviceNotFound, DeviceOffline, TargetLost, TargetStalled

AGAIN_EVERY_S = 2.0
MOST_LOSSES = 5  # of the link in one operation

Link = TypeVar("Link")
Result = TypeVar("Result")


class Retries(Generic[Link]):
    """Does operations over a link; all of them can be repeated."""

    def __init__(
        self,
        connect: Callable[[], Link],
        disconnect: Callable[[], None],
        wait_s: float,
        also_gone: tuple[type[DeviceError], ...] = (),
    ) -> None:
        """`also_gone`: errors besides the usual that say that the device is away for a while."""
        self._connect = connect
        self._disconnect = disconnect
        self._wait_s = wait_s
        self._gone: tuple[type[DeviceError], ...] = (
            *(TargetLost, TargetStalled, DeviceNotFound, DeviceOffline),
            *also_gone,
        )
        self._told = ""  # last, while the device was away

    def do(self, once: Callable[[Link], Result], stalls_are_losses: bool = False) -> Result:
        """An operation, begun again when the link breaks while it is under way.

        `stalls_are_losses`: where silence can only mean that the link, or the device, is gone.
        """
        patient_until: float | None = None
        losses = 0
        while True:
            try:
                link = self._connect()
                self._told = ""
                return once(link)
            except self._gone as error:
                if isinstance(error, TargetStalled) and not stalls_are_losses:
                    raise
                self._disconnect()
                if patient_until is None:
                    patient_until = time.monotonic() + self._wait_s
                lost = isinstance(error, TargetLost | TargetStalled)
                losses += lost
                if time.monotonic() >= patient_until or losses > MOST_LOSSES:
                    raise
                if not lost:
                    self._tell_once(f"{error}; waiting up to {self._wait_s:.0f} s for it")
                    time.sleep(AGAIN_EVERY_S)

    def _tell_once(self, text: str) -> None:
        """On the terminal, above the progress bar: somebody has to do something."""
        if text != self._told:
            logging.getLogger(__name__).warning("harness: %s", text)
        self._told = text
