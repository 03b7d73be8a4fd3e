"""Several devices at once, where they do not share hardware."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TypeVar

from harness.device.device import Device

Result = TypeVar("Result")


def on_each(devices: Sequence[Device], task: Callable[[Device], Result]) -> list[Result]:
    """The task on every device: one after the other on the same hardware, else side by side.

    A device that fails does not stop the others; what the first of them raised is raised in the
    end. Threads do not outlive the process: what was measured by then is in the journals.
    """
    by_hardware: dict[str, list[int]] = defaultdict(list)
    for number, device in enumerate(devices):
        by_hardware[device.hardware].append(number)
    if len(by_hardware) == 1:
        return [task(device) for device in devices]
    done: dict[int, Result] = {}
    failed: dict[int, BaseException] = {}

    def work(queue: Sequence[int]) -> None:
        for number in queue:
            try:
                done[number] = task(devices[number])
            except BaseException as error:  # noqa: BLE001 - raised in the main thread
                failed[number] = error

    threads = [
        Thread(target=work, args=(queue,), daemon=True, name=hardware)
        for hardware, queue in by_hardware.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[min(failed)]
    return [done[number] for number in range(len(devices))]
