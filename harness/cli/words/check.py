"""What was found on the way to a device, in words."""

from harness.device.conditions import UNKNOWN
from harness.pipeline.check import FreeSpace, ModelRuns, Step, TemperatureLimit
from harness.tables.batch import of_batch


def describe_step(step: Step) -> str:
    match step.found:
        case None:
            return UNKNOWN
        case FreeSpace(mb):
            return f"{mb:.0f} MB free for our files"
        case ModelRuns(block, images, latency_ms):
            return f"{block}{of_batch(images)} in {latency_ms:.4f} ms"
        case TemperatureLimit(celsius, unheld):
            return f"{UNKNOWN}: {unheld}" if unheld else f"{celsius:g}, checked"
        case found:
            return str(found)
