"""`harness predict`: what a network takes on devices, by their tables, without running it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.deploy.front import Seen, seen_ms
from harness.errors import TableError
from harness.pipeline.current import check_current
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.pipeline.networks import NamedNetwork
from harness.predictors.accuracy import AccuracyPredictor
from harness.predictors.accuracy_source import AccuracySource, accuracy_source
from harness.predictors.breakdown import Network, break_down
from harness.spaces.block import NUMBER_BYTES
from harness.spaces.genome import encode
from harness.tables.record import SEEN
from harness.tables.repeat import Interval
from harness.tables.statements import SILENT, Statements
from harness.tables.table import Table


@dataclass(frozen=True)
class Prediction:
    """Of one network on one device; intervals are of 95 %, None where nobody knows the error."""

    network: str
    device: str
    latency_ms: float  # of one run, at full speed
    latency_ms_interval: Interval | None  # where another campaign finds it
    seen_ms: Seen  # as users see it, on the wall clock
    energy_mj: float | None  # None: no energies were measured
    energy_mj_interval: Interval | None
    images_per_run: int
    activations_mb: float  # their peak, in the device's precision, without padding
    macs: int
    params: int
    accuracy: float | None  # percent; None: nobody tells
    accuracy_interval: Interval | None
    latency_from: str
    accuracy_from: str

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)

    def to_row(self) -> dict[str, Any]:
        """The same without parts in parts: an interval is two columns, and so on."""
        row: dict[str, Any] = {}
        for name, value in self.to_json().items():
            if name == "seen_ms":
                for at in SEEN:
                    told = value.get(at, (None, None, None))
                    row |= dict(
                        zip((f"{at}_ms", f"{at}_ms_low", f"{at}_ms_high"), told, strict=True)
                    )
            elif name.endswith("_interval"):
                low, high = value or (None, None)
                stem = name.removesuffix("_interval")
                row |= {f"{stem}_low": low, f"{stem}_high": high}
            else:
                row[name] = value
        return row


@dataclass(frozen=True)
class _Amount:
    """A cost by a table."""

    value: float  # ms, or mJ
    statements: Statements
    rests_on: str

    @property
    def interval(self) -> Interval | None:
        return self.statements["full"].interval(self.value)


def predict(
    job: Run, networks: Sequence[NamedNetwork], device: str, source: AccuracySource | None
) -> list[Prediction]:
    """What each network takes on the device, and its accuracy where there is a source of them.

    Raises:
        TableError: there is no table of the space, or it lacks a block.
    """
    table = Table.load(job.workspace.table(device, job.space.name))
    path = job.workspace.table(device, job.space.name, "energy")
    energies = Table.load(path) if path.exists() else None
    return [_predict(job, network, table, energies, source) for network in networks]


def _predict(
    job: Run,
    network: NamedNetwork,
    table: Table,
    energies: Table | None,
    source: AccuracySource | None,
) -> Prediction:
    latency = _amount(job, network, table)
    energy = None if energies is None else _amount(job, network, energies)
    number_bytes = NUMBER_BYTES[str(table.identity.get("precision", "float32"))]
    accuracy, interval = None, None
    if source is not None and network.arch is not None:
        top1 = float(source.accuracy(encode(job.space, [network.arch]))[0])
        accuracy = min(100.0, max(0.0, top1))
        interval = None if source.judges is None else source.judges.interval(accuracy)
    return Prediction(
        network=network.name,
        device=table.device,
        latency_ms=latency.value,
        latency_ms_interval=latency.interval,
        seen_ms=seen_ms(latency.value, latency.statements),
        energy_mj=None if energy is None else energy.value,
        energy_mj_interval=None if energy is None else energy.interval,
        images_per_run=table.images_per_run,
        activations_mb=number_bytes * max(b.peak_activations for b in network.blocks) / 1e6,
        macs=sum(block.macs for block in network.blocks),
        params=sum(block.params for block in network.blocks),
        accuracy=accuracy,
        accuracy_interval=interval,
        latency_from=table.simulated or latency.rests_on,
        accuracy_from="" if accuracy is None or source is None else source.describe(),
    )


def _amount(job: Run, network: NamedNetwork, table: Table) -> _Amount:
    """What a run of the network takes.

    Its error is known for sub-networks of the space alone: those are what judged the table.
    """
    if network.arch is not None:
        predictor = latency_of(job, table)
        (value,) = predictor.predict(encode(job.space, [network.arch]))
        if value == float("inf"):
            raise TableError(
                f"the table of {table.device} does not cover {network.arch.resolution} pixels: "
                f"`harness measure --device {table.device} --resolutions "
                f"{network.arch.resolution}` goes on"
            )
        return _Amount(float(value), predictor.statements, predictor.describe())
    check_current(job, table)
    parts = break_down([Network(network.name, network.blocks)], table)
    rests_on = "sums of blocks; no network of the space, so that nobody knows the error"
    return _Amount(sum(part.latency_ms for part in parts), SILENT, rests_on)


def accuracies(job: Run) -> AccuracySource | None:
    """Where accuracies come from; None where nobody said, and nothing was trained here.

    Raises:
        FileFormatError: the file is broken.
    """
    if job.accuracy is not None:
        return accuracy_source(job.accuracy, job.space)
    if not job.can_train or not job.predictor.is_file():
        return None
    return AccuracyPredictor.load(job.predictor, job.space)
