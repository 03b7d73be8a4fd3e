"""`harness benchmark`: one model file of the user's, timed with the same care as a table."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.devices.device import Device
from harness.errors import FileFormatError, UsageError
from harness.measuring.campaign import Campaign, Work, run_campaign
from harness.measuring.plan import Entry, Plan, sentinel
from harness.measuring.simulation import simulate
from harness.pipeline.job import Run
from harness.runtimes.dpu.session import SimulatedSession
from harness.runtimes.session import OpTime, ProfilingSession, Workload
from harness.spaces.digits import DIGITS
from harness.tables.batch import an_image, images_per_run, of_batch

SCHEMA = 1
PLAN = Plan(min_visits=30, max_visits=120, runs=5, interval=0.02, duration_s=10.0, anchors=0)
SUFFIXES = {
    "onnxruntime": ".onnx",
    "litert": ".tflite",
    "benchmark_model": ".tflite",
    "torch": ".pt",
    "tensorrt": ".onnx",
    "dpu": ".pt",
}
PROFILING = ("torch", "onnxruntime", "benchmark_model", "tensorrt")
_ALIKE = ("kind", "schema", "identity")  # what two results must have in common


@dataclass(frozen=True)
class Compared:
    """The model now and then; ratios above 1 are slower."""

    ratio: float  # of the model's times
    machine: float  # of a reference block's: how much of the ratio is the machine's
    surely: float  # the model's ratio beyond the machine's, at the lower end of its interval

    def describe(self) -> str:
        return (
            f"{self.ratio:.3f} times as long as the baseline; the machine alone takes "
            f"{self.machine:.3f} times as long, the model {self.ratio / self.machine:.3f} beyond "
            f"that (surely {self.surely:.3f})"
        )


def benchmark(job: Run, device: Device, model: Path) -> dict[str, Any]:
    """Times of the model on the device, as a value to print and to compare later.

    Raises:
        UsageError: the device's runtime takes no such file.
        FileFormatError: there is no such file.
    """
    wanted = SUFFIXES[device.profile.runtime]
    if model.suffix not in (wanted, ".pt"):
        theirs = "" if wanted == ".pt" else f"{wanted} and "
        raise UsageError(f"{device.name} runs {theirs}network files (.pt), not {model.name}")
    try:
        content = model.read_bytes()
    except OSError as error:
        raise FileFormatError(f"cannot read {model}: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    entries = [sentinel(DIGITS), Entry("network", model.resolve(), ())]
    with device.open() as session, job.console.step(f"time {model.name}") as progress:
        identity = device.identity(session)
        todo = Work(
            identity,
            device.clock,
            device.limits,
            entries,
            PLAN,
            lambda name: job.workspace.journal("benchmark", digest[:12], name),
        )
        session.prepare([entry.workload for entry in entries])
        if isinstance(session, SimulatedSession):
            campaign = simulate(session, todo)
        else:
            campaign = run_campaign(session, todo, fresh=True, on_visit=progress)
    return {
        "kind": "benchmark",
        "schema": SCHEMA,
        "model": {"name": model.name, "sha256": digest},
        "device": device.name,
        "identity": identity,
        "statistics": _times(campaign, "network"),
        "reference": _times(campaign, "sentinel"),
        "suspect": sorted({why for r in campaign.records for why in r.suspect}),
        "campaign": campaign.facts,
    }


def check_profiles(device: Device) -> None:
    """Raises UsageError where the device's runtime gives no times of operators."""
    if device.profile.runtime not in PROFILING:
        raise UsageError(f"the runtime {device.profile.runtime} gives no times of operators")


def profile_ops(device: Device, workload: Workload) -> Sequence[OpTime]:
    """Times by type of operator in one run, the longest first.

    Raises:
        UsageError: the device's runtime does not tell.
    """
    check_profiles(device)
    with device.open() as session:
        assert isinstance(session, ProfilingSession)
        session.prepare([workload])
        return sorted(session.profile_ops(workload), key=lambda each: -each.mean_ms)


def _times(campaign: Campaign, role: str) -> dict[str, dict[str, float | None]]:
    return {r.clock: r.statistics.to_json("ns") for r in campaign.records if r.role == role}


def describe(result: dict[str, Any]) -> str:
    clock = result["identity"]["clock"]
    what, images = f"{result['model']['name']} on {result['device']}", 1
    if (batch := images_per_run(result["identity"])) > 1:
        ours = result["model"]["name"].endswith(".pt")  # other files may have a batch of their own
        images = batch if ours else 1
        what += f", runs{of_batch(batch)}{'' if ours else ', unless the file has its own'}"
    if simulated := result["campaign"].get("simulated"):
        value_ms = result["statistics"][clock]["value_ns"] / 1e6
        return f"{what}: {value_ms:.4f} ms{an_image(value_ms, images)}, {simulated}"
    times, wall = result["statistics"][clock], result["statistics"]["wall"]
    memory_mb = wall.get("memory_mb")
    memory = "" if memory_mb is None else f", memory grows by {memory_mb:.1f} MB"
    doubts = "".join(f"; suspect: {why}" for why in result["suspect"])
    return (
        f"{what}: {times['value_ns'] / 1e6:.4f} ms{an_image(times['value_ns'] / 1e6, images)} at "
        f"full speed ({clock} clock, up to {times['high_ns'] / 1e6:.4f}), "
        f"{wall['median_ns'] / 1e6:.4f} ms{an_image(wall['median_ns'] / 1e6, images)} median on "
        f"the wall clock, "
        f"{times['visits']} visits of {times['runs'] // times['visits']} runs{memory}{doubts}"
    )


def load(path: Path) -> dict[str, Any]:
    """A result that was kept.

    Raises:
        FileFormatError: it is none.
    """
    value = files.read_json(path)
    if not isinstance(value, dict) or (value.get("kind"), value.get("schema")) != (
        "benchmark",
        SCHEMA,
    ):
        raise FileFormatError(f"{path} is no benchmark result of schema {SCHEMA}")
    return value


def compare(old: dict[str, Any], new: dict[str, Any]) -> Compared:
    """The model now against a kept result.

    Raises:
        FileFormatError: the old result is of another device, or not whole.
    """
    for name in _ALIKE:
        if old.get(name) != new[name]:
            raise FileFormatError(
                f"the baseline has another {name}: {json.dumps(old.get(name))}, "
                f"not {json.dumps(new[name])}; only equal settings can be compared"
            )
    clock = new["identity"]["clock"]
    try:
        before, reference = old["statistics"][clock], old["reference"][clock]
        now = new["statistics"][clock]
        machine = new["reference"][clock]["value_ns"] / reference["value_ns"]
        ratio = now["value_ns"] / before["value_ns"]
        surely = now["low_ns"] / before["high_ns"] / machine
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise FileFormatError(f"the baseline is not whole: {error!r}") from error
    return Compared(ratio, machine, surely)
