"""`harness benchmark`: one model file of the user's, timed with the same care as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Required, get_args

from typing_extensions import TypedDict

from harness import files
from harness.device.device import Device
from harness.errors import DeviceError, FileFormatError, UsageError
from harness.measuring.campaign import Campaign, Work, run_campaign
from harness.measuring.plan import Entry, Plan, sentinel
from harness.measuring.simulation import simulate
from harness.pipeline.converted import compare_converted
from harness.pipeline.file_accuracy import accuracy_of, check_judged
from harness.pipeline.job import Run
from harness.pipeline.notices import AnswersNotCompared, Remark, StartUnknown
from harness.pipeline.regression import check_alike
from harness.runtimes import model_files
from harness.runtimes.model_inputs.asked import NOTHING_ASKED
from harness.runtimes.model_inputs.feeding import READ_HERE, Feeding, feeding
from harness.runtimes.own_file_session import OwnFileSession
from harness.runtimes.session import (
    OpTime,
    Played,
    ProfilingSession,
    Scenario,
    ScenarioSession,
    Session,
    SimulatedSession,
    Start,
    StartingSession,
    StreamingSession,
    Throughput,
    Workload,
)
from harness.schema import Amount, checked
from harness.spaces.digits import DIGITS
from harness.tables.facts import Facts, Identity
from harness.tables.record import Clock, Record, Statistics

SCHEMA = 1
STARTS = 3  # of the model, in processes of their own
STREAMS_S = 5.0  # of runs side by side
PLAYED_S = 20.0  # of an MLPerf scenario; its rules ask for 600 s of a result that is published
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
    throughput: Throughput
    scenarios: list[Played]
    accuracy: dict[str, Any]
    file_bytes: int


def references() -> list[Entry]:
    """Blocks that are timed beside a model, from little to much work: they tell a slower machine
    from a slower model."""
    blocks = sorted(DIGITS.distinct_blocks(), key=lambda block: (block.macs, block))
    spread = [blocks[len(blocks) * part // REFERENCES] for part in range(REFERENCES)]
    return [Entry("block", (block,), (block,)) for block in spread]


def benchmark(
    job: Run,
    device: Device,
    model: Path,
    baseline: Mapping[str, Any] | None = None,
    streams: int = 0,
    scenarios: Sequence[Scenario] = (),
    data: Path | None = None,
) -> dict[str, Any]:
    """Times of the model on the device, as a value to print and to compare later.

    `baseline`: a kept result, that is going to be compared with. `streams`: in how many its
    throughput is measured, too; 0: it is not. `scenarios`: MLPerf's that are played, too.
    `data`: a folder of images that a network file is judged on, as the runtime answers.

    Raises:
        UsageError: the device's runtime takes no such file.
        FileFormatError: there is no such file, or the baseline is of other settings.
    """
    digest = check_model(device, model)
    if data is not None:
        check_judged(model, data)
    # A link is not followed: what it points to may have no suffix, or no weights beside it.
    entries = [sentinel(DIGITS), Entry("network", model.absolute(), ()), *references()]
    with device.open() as session, job.listener.step(f"time {model.name}") as progress:
        identity = device.identity(session)
        if (fed := _feeding(device, session, model)) is not None:
            job.listener.tell(Remark(f"{model.name}: {fed.describe()}"))
        if streams and not isinstance(session, StreamingSession):
            raise UsageError(f"--streams: {device.profile.runtime} runs one stream alone")
        if scenarios and not isinstance(session, ScenarioSession):
            raise UsageError(f"--scenario: {device.profile.runtime} is not driven by LoadGen")
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
        if fed is not None and not compare_converted(session, model, fed, device.options):
            job.listener.tell(AnswersNotCompared(model.name))
        if isinstance(session, SimulatedSession):
            campaign = simulate(session, todo)
        else:
            campaign = run_campaign(session, todo, fresh=True, on_visit=progress)
        right = None if data is None else accuracy_of(session, model, data)
        session.unload(entries[1].workload)
        starts = _starts(job, session, entries[1].workload)
        size = session.file_bytes(model) if isinstance(session, OwnFileSession) else None
        played = []
        if scenarios and isinstance(session, ScenarioSession):
            played = [session.play(entries[1].workload, each, PLAYED_S) for each in scenarios]
        throughput = None
        if streams and isinstance(session, StreamingSession):
            throughput = session.throughput(entries[1].workload, streams, STREAMS_S)
    timed = [record for record in campaign.records if record.role == "network"]
    what = {"name": model.name, "sha256": digest}
    result = result_of(what, device.name, identity, campaign, timed)
    if fed is not None:
        result["fed"] = fed.to_json()
    if right is not None:
        result["accuracy"] = right.to_json()
    if size is not None:
        result["file_bytes"] = size
    if played:
        result["scenarios"] = [asdict(each) for each in played]
    if throughput is not None:
        result["throughput"] = asdict(throughput)
    if starts:
        result["start"] = {n: [getattr(each, n) for each in starts] for n in STARTED}
    return result


def parse_scenarios(names: Sequence[str]) -> list[Scenario]:
    """Raises UsageError where one is none."""
    known = get_args(Scenario)
    for name in names:
        if name not in known:
            raise UsageError(f"--scenario {name!r} is none of {', '.join(known)}")
    return [each for each in known if each in names]


def _starts(job: Run, session: Session, workload: Workload) -> list[Start]:
    """How the model starts, a few times; of runtimes that tell. What was measured before is kept,
    whatever happens now."""
    if not isinstance(session, StartingSession):
        return []
    try:
        return [session.start(workload) for _ in range(STARTS)]
    except DeviceError as error:
        job.listener.tell(StartUnknown(str(error)))
        return []


def check_model(device: Device, model: Path) -> str:
    """The file's SHA-256, before anything is measured.

    Raises:
        UsageError: the device's runtime takes no such file, or has to be told what it is fed with.
        FileFormatError: there is no such file, or it is broken.
    """
    runtime, given = device.profile.runs_on, model.suffix.lower()
    if given not in (*runtime.file_suffixes, ".pt"):
        raise UsageError(f"{device.name} runs {runtime.takes}, not {model.name}")
    files.check_regular(model)
    try:
        digest = model_files.digest(model)
    except OSError as error:
        raise FileFormatError(f"cannot read {model}: {error.strerror}") from error
    if given in READ_HERE:
        feeding(model, device.asked, device.options.batch)
    if given == ".pt":
        if device.asked != NOTHING_ASKED:
            raise UsageError(f"{model.name} is a network file, which says itself what it takes")
        check_network(model)
    return digest


def _feeding(device: Device, session: Session, model: Path) -> Feeding | None:
    """What a model file is fed with; None for network files, which are known, and where the runner
    on a phone chooses by itself."""
    given = model.suffix.lower()
    if given == ".pt":
        return None
    if given in READ_HERE:
        return feeding(model, device.asked, device.options.batch)
    if isinstance(session, OwnFileSession):
        return session.feeding(model)
    if device.asked != NOTHING_ASKED:
        raise UsageError(f"{device.profile.runtime} feeds {model.name} with numbers of its own")
    return None


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
        "suspect": sorted(_reasons(campaign.records)),
        "campaign": campaign.facts,
    }


def check_node_data(device: Device, model: Path) -> None:
    """Raises UsageError where no times of the file's single nodes can be told."""
    if not device.profile.runs_on.profiles_nodes:
        raise UsageError(
            f"--node-data: the runtime {device.profile.runtime} tells no times of single nodes; "
            "onnxruntime and openvino do"
        )
    if model.suffix.lower() != ".onnx":
        raise UsageError(f"--node-data is of the nodes of an .onnx file, and {model.name} is none")


def profile_ops(device: Device, workload: Workload) -> Sequence[OpTime]:
    """Times by type of operator in one run, the longest first; of a runtime that tells them."""
    with device.open() as session:
        assert isinstance(session, ProfilingSession)
        session.prepare([workload])
        return sorted(session.profile_ops(workload), key=lambda each: -each.mean_ms)


def _times(records: Sequence[Record]) -> dict[str, dict[str, float | None]]:
    return {record.clock: record.statistics.to_json("ns") for record in records}


def _reasons(records: Sequence[Record]) -> set[str]:
    """Why to doubt, each reason once: in how many visits of the model, where it has that one."""
    found: dict[str, str] = {}
    for record in sorted(records, key=lambda record: record.role == "network"):
        found |= {why.partition(" (")[0]: why for why in record.suspect}
    return set(found.values())


def _references(campaign: Campaign) -> dict[str, dict[str, float]]:
    """Times of the reference blocks at full speed, ns, by clock and block."""
    found: dict[str, dict[str, float]] = {}
    for record in campaign.records:
        if record.role == "block":
            found.setdefault(record.clock, {})[record.blocks[0].key] = record.statistics.value
    return found


def load(path: Path) -> dict[str, Any]:
    """A result that was kept.

    Raises:
        FileFormatError: it is none.
    """
    return checked_result(files.read_json(path), str(path))


def checked_result(value: Any, name: str) -> dict[str, Any]:
    """A value that was kept, of a file called so.

    Raises:
        FileFormatError: it is no result.
    """
    if not isinstance(value, dict) or (value.get("kind"), value.get("schema")) != (
        "benchmark",
        SCHEMA,
    ):
        raise FileFormatError(f"{name} is no benchmark result of schema {SCHEMA}")
    try:
        checked(Result, value)
        parts = {"model": value["model"], "identity": value["identity"]}
        for part, name_ in (("model", "name"), ("model", "sha256"), ("identity", "clock")):
            if name_ not in parts[part]:
                raise ValueError(f"its {part} has no {name_}")
        if value["identity"]["clock"] not in value["statistics"]:
            raise ValueError("it has no times by its clock")
        for times in (*value["statistics"].values(), *value["reference"].values()):
            Statistics.from_json(times, "ns")
    except ValueError as error:
        raise FileFormatError(
            f"{name} is no whole benchmark result: {error}; measure it again with --output"
        ) from error
    return value
