"""Several devices at once, where they do not share hardware."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TypeVar

from harness.devices.device import Device

Result = TypeVar("Result")


def on_each(devices: Sequence[Device], task: Callable[[Device], Result]) -> list[Result]:
    """The task on every device: one after the other on the same hardware, else side by side.

    A device that fails does not stop the others; what the first of them raised is raised in the
    end. Threads do not outlive the process: what was measured by then is in the journals.
    """
    by_hardware: dict[str, list[Device]] = defaultdict(list)
    for device in devices:
        by_hardware[device.hardware].append(device)
    if len(by_hardware) == 1:
        return [task(device) for device in devices]
    done: dict[str, Result] = {}
    failed: dict[str, BaseException] = {}

    def work(queue: Sequence[Device]) -> None:
        for device in queue:
            try:
                done[device.name] = task(device)
            except BaseException as error:  # noqa: BLE001 - raised in the main thread
                failed[device.name] = error

    threads = [
        Thread(target=work, args=(queue,), daemon=True, name=hardware)
        for hardware, queue in by_hardware.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for device in devices:
        if device.name in failed:
            raise failed[device.name]
    return [done[device.name] for device in devices]
