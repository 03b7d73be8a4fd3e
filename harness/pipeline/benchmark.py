"""`harness benchmark`: one model file of the user's, timed with the same care as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from pathlib import Path
from statistics import median
from typing import Any, Literal, Required

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from harness import files
from harness.device.device import Device
from harness.errors import DeviceError, FileFormatError, UsageError
from harness.measuring.campaign import Campaign, Work, run_campaign
from harness.measuring.plan import Entry, Plan, sentinel
from harness.measuring.simulation import simulate
from harness.pipeline.job import Run
from harness.runtimes import model_files
from harness.runtimes.model_inputs.asked import NOTHING_ASKED
from harness.runtimes.model_inputs.feeding import Feeding, feeding, is_free
from harness.runtimes.session import (
    OpTime,
    ProfilingSession,
    Session,
    SimulatedSession,
    Start,
    StartingSession,
    Workload,
)
from harness.schema import Amount, checked
from harness.spaces.digits import DIGITS
from harness.tables.batch import an_image, images_per_run, of_batch
from harness.tables.facts import Facts, Identity
from harness.tables.record import SEEN, Clock, Record, Statistics
from harness.tables.repeat import Repeat, value_of
from harness.tables.statements import WORDS
from harness.tables.versions import differences, same_versions

Floats = npt.NDArray[np.float64]
SCHEMA = 1
STARTS = 3  # of the model, in processes of their own
STARTED = ("load_ms", "first_ms", "memory_mb")
REFERENCES = 8  # blocks that are timed beside a model
PLAN = Plan(
    min_visits=30,
    max_visits=120,
    runs=5,
    interval=0.02,
    duration_s=10.0,
    anchors=0,
    sustain_s=20.0,
)


class Result(TypedDict, total=False):
    """What is kept of a benchmark; older results tell less."""

    kind: Required[Literal["benchmark"]]
    schema: Required[int]
    model: Required[dict[str, str]]
    device: Required[str]
    identity: Required[Identity]
    statistics: Required[dict[Clock, dict[str, Any]]]
    reference: Required[dict[Clock, dict[str, Any]]]
    references: dict[Clock, dict[str, Amount]]
    suspect: Required[list[str]]
    campaign: Required[Facts]
    fed: dict[str, Any]
    start: dict[str, list[float | None]]


@dataclass(frozen=True)
class Compared:
    """The model now and then; ratios above 1 are slower."""

    at: str  # which time: "full", "p50", ...
    ratio: float  # of the model's times
    machine: float | None  # of reference blocks: how much of the ratio is the machine's
    beyond: float  # the model's ratio beyond the machine's; all of it where that is not known
    interval: tuple[float, float]  # of that, 95 %: what measuring an unchanged model again may give
    files: str = ""  # where they are two different ones

    def describe(self) -> str:
        return "; ".join(part for part in (self._times(), self.files) if part)

    def _times(self) -> str:
        low, high = self.interval
        ends = f"{self.beyond:.3f} ({low:.3f} to {high:.3f}, 95 %)"
        if self.machine is None:
            return (
                f"{WORDS[self.at]}: {ends} times as long as the baseline; what the machine has of "
                "that is not known"
            )
        return (
            f"{WORDS[self.at]}: {self.ratio:.3f} times as long as the baseline; the machine alone "
            f"takes {self.machine:.3f} times as long, the model {ends} beyond that"
        )


def references() -> list[Entry]:
    """Blocks that are timed beside a model, from little to much work: they tell a slower machine
    from a slower model."""
    blocks = sorted(DIGITS.distinct_blocks(), key=lambda block: (block.macs, block))
    spread = [blocks[len(blocks) * part // REFERENCES] for part in range(REFERENCES)]
    return [Entry("block", (block,), (block,)) for block in spread]


def benchmark(
    job: Run, device: Device, model: Path, baseline: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Times of the model on the device, as a value to print and to compare later.

    `baseline`: a kept result, that is going to be compared with.

    Raises:
        UsageError: the device's runtime takes no such file.
        FileFormatError: there is no such file, or the baseline is of other settings.
    """
    digest, fed = check_model(device, model)
    if fed is not None:
        job.console.say(f"{model.name}: {fed.describe()}")
    # A link is not followed: what it points to may have no suffix, or no weights beside it.
    entries = [sentinel(DIGITS), Entry("network", model.absolute(), ()), *references()]
    with device.open() as session, job.console.step(f"time {model.name}") as progress:
        identity = device.identity(session)
        if baseline is not None:
            check_alike(baseline, identity, None if fed is None else fed.to_json())
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
        session.unload(entries[1].workload)
        starts = _starts(job, session, entries[1].workload)
    timed = [record for record in campaign.records if record.role == "network"]
    what = {"name": model.name, "sha256": digest}
    result = result_of(what, device.name, identity, campaign, timed)
    if fed is not None:
        result["fed"] = fed.to_json()
    if starts:
        result["start"] = {n: [getattr(each, n) for each in starts] for n in STARTED}
    return result


def _starts(job: Run, session: Session, workload: Workload) -> list[Start]:
    """How the model starts, a few times; of runtimes that tell. What was measured before is kept,
    whatever happens now."""
    if not isinstance(session, StartingSession):
        return []
    try:
        return [session.start(workload) for _ in range(STARTS)]
    except DeviceError as error:
        job.console.say(f"how it starts is not known: {error}")
        return []


def check_model(device: Device, model: Path) -> tuple[str, Feeding | None]:
    """The file's SHA-256 and what it is fed with, before anything is measured.

    Raises:
        UsageError: the device's runtime takes no such file, or has to be told what it is fed with.
        FileFormatError: there is no such file, or it is broken.
    """
    runtime, given = device.profile.runs_on, model.suffix.lower()
    if given not in (runtime.file_suffix, ".pt"):
        raise UsageError(f"{device.name} runs {runtime.takes}network files (.pt), not {model.name}")
    files.check_regular(model)
    try:
        digest = model_files.digest(model)
    except OSError as error:
        raise FileFormatError(f"cannot read {model}: {error.strerror}") from error
    if given != ".pt":
        return digest, feeding(model, device.asked, device.options.batch)
    if device.asked != NOTHING_ASKED:
        raise UsageError(f"{model.name} is a network file, which says itself what it takes")
    check_network(model)
    return digest, None


def check_network(path: Path) -> None:
    """Whether it is a network file, before anything is converted.

    Raises:
        CheckpointError: it is none, perhaps another tool's.
    """
    from harness.networks.file import NetworkFile

    NetworkFile.load(path)


def result_of(
    model: dict[str, str],
    device: str,
    identity: dict[str, Any],
    campaign: Campaign,
    timed: Sequence[Record],
) -> dict[str, Any]:
    """The result as a value; `timed`: the model's records, one for each clock."""
    return {
        "kind": "benchmark",
        "schema": SCHEMA,
        "model": model,
        "device": device,
        "identity": identity,
        "statistics": _times(timed),
        "reference": _times([each for each in campaign.records if each.role == "sentinel"]),
        "references": _references(campaign),
        "suspect": sorted({why for record in campaign.records for why in record.suspect}),
        "campaign": campaign.facts,
    }


def tells_no_ops(device: Device) -> str:
    """Why there are no times of operators; "" where there are."""
    if device.profile.runs_on.profiles_operators:
        return ""
    return f"no times of operators: the runtime {device.profile.runtime} gives none"


def profile_ops(device: Device, workload: Workload) -> Sequence[OpTime]:
    """Times by type of operator in one run, the longest first; of a runtime that tells them."""
    with device.open() as session:
        assert isinstance(session, ProfilingSession)
        session.prepare([workload])
        return sorted(session.profile_ops(workload), key=lambda each: -each.mean_ms)


def _times(records: Sequence[Record]) -> dict[str, dict[str, float | None]]:
    return {record.clock: record.statistics.to_json("ns") for record in records}


def _references(campaign: Campaign) -> dict[str, dict[str, float]]:
    """Times of the reference blocks at full speed, ns, by clock and block."""
    found: dict[str, dict[str, float]] = {}
    for record in campaign.records:
        if record.role == "block":
            found.setdefault(record.clock, {})[record.blocks[0].key] = record.statistics.value
    return found


def describe(result: dict[str, Any]) -> str:
    clock = result["identity"]["clock"]
    what, images = f"{result['model']['name']} on {result['device']}", 1
    if (batch := images_per_run(result["identity"])) > 1:
        # Other files may have a batch of their own.
        ours = result["model"]["name"].lower().endswith(".pt")
        images = batch if ours else 1
        what += f", runs{of_batch(batch)}{'' if ours else ', unless the file has its own'}"
    if simulated := result["campaign"].get("simulated"):
        value_ms = result["statistics"][clock]["value_ns"] / 1e6
        return f"{what}: {value_ms:.4f} ms{an_image(value_ms, images)}, {simulated}"
    times, wall = result["statistics"][clock], result["statistics"]["wall"]
    memory_mb = wall.get("memory_mb")
    memory = "" if memory_mb is None else f", memory grows by {memory_mb:.1f} MB"
    doubts = "".join(f"; suspect: {why}" for why in result["suspect"])
    statistics = Statistics.from_json(times, "ns")
    low, high = Repeat("full").interval(statistics) or (statistics.low, statistics.high)
    told = {at: wall.get(f"{at}_ns") for at in SEEN}
    told = {at: ns for at, ns in told.items() if ns is not None} or {"median": wall["median_ns"]}
    seen = [f"{at} {ns / 1e6:.4f} ms{an_image(ns / 1e6, images)}" for at, ns in told.items()]
    return (
        f"{what}: {times['value_ns'] / 1e6:.4f} ms{an_image(times['value_ns'] / 1e6, images)} at "
        f"full speed ({clock} clock, measured again {low / 1e6:.4f} to {high / 1e6:.4f}); "
        f"on the wall clock {', '.join(seen)}; "
        f"{times['visits']} visits of {times['runs'] // times['visits']} runs{memory}{doubts}"
        f"{_started(result)}"
    )


def to_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result without parts in parts, in ms and MB: intervals are of another campaign, 95 %;
    simulated times have none."""
    clock = result["identity"]["clock"]
    statistics = Statistics.from_json(result["statistics"][clock], "ns")
    wall = result["statistics"].get("wall", {})
    simulated = result["campaign"].get("simulated")
    ends = Repeat("full").interval(statistics) or (statistics.low, statistics.high)
    low, high = (None, None) if simulated else (end / 1e6 for end in ends)
    started = result.get("start") or {}
    known = {n: [each for each in started.get(n, ()) if each is not None] for n in STARTED}
    return {
        "model": result["model"]["name"],
        "device": result["device"],
        "full_ms": statistics.value / 1e6,
        "full_ms_low": low,
        "full_ms_high": high,
        **{f"{at}_ms": None if (ns := wall.get(f"{at}_ns")) is None else ns / 1e6 for at in SEEN},
        **{n: median(values) if values else None for n, values in known.items()},
        "images_per_run": images_per_run(result["identity"]),
        "evidence": simulated or "measured",
        "suspect": "; ".join(result["suspect"]),
    }


def _started(result: Mapping[str, Any]) -> str:
    """How it starts: the middle of a few times, and what they spread over."""
    started = result.get("start")
    if not started:
        return ""
    words = {"load_ms": "loads in", "first_ms": "first run", "memory_mb": "memory grows by"}
    parts = []
    for name, word in words.items():
        values = [each for each in started[name] if each is not None]
        if values:
            unit = name.rpartition("_")[2].replace("mb", "MB")
            spread = f"{min(values):.4g} to {max(values):.4g}"
            parts.append(f"{word} {median(values):.4g} {unit} ({spread})")
    return f"; started anew {len(started['load_ms'])} times: {', '.join(parts)}"


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
    try:
        checked(Result, value)
        for times in (*value["statistics"].values(), *value["reference"].values()):
            Statistics.from_json(times, "ns")
    except ValueError as error:
        raise FileFormatError(
            f"{path} is no whole benchmark result: {error}; measure it again with --output"
        ) from error
    return value


def compare(old: dict[str, Any], new: dict[str, Any], at: str = "full") -> Compared:
    """The model now against a kept result, by one of its times.

    Reference blocks tell a slower machine from a slower model at full speed, where the device told
    the same versions both times. Else what all became slower by may be an update's doing, and
    counts, as it does for what users see.

    Raises:
        FileFormatError: the old result is of another device, or not whole.
        UsageError: one of them does not tell that time.
    """
    check_alike(old, new["identity"], new.get("fed"))
    clock = new["identity"]["clock"]
    try:
        read = clock if at == "full" else "wall"
        if any(read not in each["statistics"] for each in (old, new) if each["statistics"]):
            raise UsageError(f"not both results tell {WORDS[at]}")
        both = [Statistics.from_json(each["statistics"][read], "ns") for each in (old, new)]
        told = [each["campaign"].get("environment", {}) for each in (old, new)]
        apart = at == "full" and same_versions(*told)  # else the machine's part may be the update's
        changes = _machine(old, new, clock) if apart else np.zeros(0)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FileFormatError(f"the baseline is not whole: {error!r}") from error
    values = [value_of(each, at) for each in both]
    if values[0] is None or values[1] is None:
        raise UsageError(
            f"not both results tell {WORDS[at]}: measure the baseline again, unless the runtime "
            "tells one time a visit alone"
        )
    change = log(values[1] / values[0])
    machine = float(np.median(changes)) if len(changes) else None
    repeat = Repeat.told(at, changes)
    far = max(repeat.far(each, level=machine is None) for each in both)
    if machine is not None:  # the median of few is off, too
        far *= sqrt(1 + 1 / len(changes))
    if "simulated" in new["campaign"]:
        far = 0.0
    beyond = change - (machine or 0.0)
    return Compared(
        at,
        exp(change),
        None if machine is None else exp(machine),
        exp(beyond),
        (exp(beyond - far), exp(beyond + far)),
        _apart(old.get("model"), new["model"]),
    )


def _apart(old: object, new: Mapping[str, str]) -> str:
    """What to say where the baseline is of another file."""
    then = old if isinstance(old, dict) else {}
    if then.get("sha256") == new["sha256"]:
        return ""
    digest = str(then.get("sha256"))
    return (
        f"the baseline is of another file: {then.get('name')} (sha256 {digest:.12}), this is "
        f"{new['name']} ({new['sha256']:.12})"
    )


def check_alike(
    old: Mapping[str, Any], identity: Mapping[str, Any], ours: Mapping[str, Any] | None
) -> None:
    """Whether a kept result can be compared with one of this device, fed with `ours`.

    Raises:
        FileFormatError: it is of another device or setting, or not both models took the same;
            older results do not tell.
    """
    kept = old.get("identity")
    apart = differences(kept if isinstance(kept, dict) else {}, identity)
    if apart:
        told = "; ".join(
            f"{name} {then!r} then, {now!r} now" for name, (then, now) in apart.items()
        )
        raise FileFormatError(
            f"the baseline is of another device or setting ({told}): only equal ones can be "
            "compared; keep a baseline of this one by --output"
        )
    theirs = old.get("fed")
    if theirs is None and ours is not None:
        if "signature" in ours or not all(map(is_free, ours["inputs"])):
            raise FileFormatError(
                "the baseline does not tell what the model was fed with, as it is of an older "
                f"version: measure it again; now it was {json.dumps(ours)}"
            )
    elif theirs != ours:
        raise FileFormatError(
            f"the model of the baseline was fed with {json.dumps(theirs)}, not {json.dumps(ours)}; "
            "only times of equal inputs can be compared"
        )


def _machine(old: dict[str, Any], new: dict[str, Any], clock: str) -> Floats:
    """How the reference blocks changed, as logarithms; older results have one alone."""
    before, now = (each.get("references", {}).get(clock, {}) for each in (old, new))
    pairs = [(before[key], now[key]) for key in sorted(before.keys() & now.keys())]
    if not pairs:
        pairs = [tuple(each["reference"][clock]["value_ns"] for each in (old, new))]
    return np.log([after / first for first, after in pairs])
