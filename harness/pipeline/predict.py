"""`harness predict`: what a network takes on devices, by their tables, without running it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from harness.deploy.front import Seen, seen_ms
from harness.errors import PredictorError, TableError
from harness.hints import command
from harness.pipeline.current import check_current
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.pipeline.networks import NamedNetwork
from harness.pipeline.notices import WithoutEnergies
from harness.predictors.accuracy import AccuracyPredictor
from harness.predictors.accuracy_source import AccuracySource, accuracy_source
from harness.predictors.breakdown import Network, break_down
from harness.spaces.arch import Arch
from harness.spaces.block import NUMBER_BYTES
from harness.spaces.genome import Genomes, encode
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
    scored: str  # what accuracies of the space are, "BLEU"
    accuracy: float | None  # from 0 to 100; None: nobody tells
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
                    ends = value.get(at, (None, None, None))
                    row |= dict(
                        zip((f"{at}_ms", f"{at}_ms_low", f"{at}_ms_high"), ends, strict=True)
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
    if table.identity.get("precision", "float32") not in NUMBER_BYTES:
        raise TableError(
            f"the table of {device} is of precision {table.identity['precision']!r}, of which the "
            f"size is not known: {', '.join(NUMBER_BYTES)} are"
        )
    return [_predict(job, network, table, source) for network in networks]


def _predict(
    job: Run, network: NamedNetwork, table: Table, source: AccuracySource | None
) -> Prediction:
    latency, energy = _amount(job, network, table), _energy(job, network, table.device)
    number_bytes = NUMBER_BYTES[str(table.identity.get("precision", "float32"))]
    accuracy, interval = None, None
    if source is not None and _is_judged(network.arch, job):
        accuracy = _top1(source, encode(job.space, [network.arch]), network.name)
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
        scored=job.space.scored,
        accuracy=accuracy,
        accuracy_interval=interval,
        latency_from=table.simulated or latency.rests_on,
        accuracy_from="" if accuracy is None or source is None else source.describe(),
    )


def _is_judged(arch: Arch | None, job: Run) -> TypeGuard[Arch]:
    """Whether a source of accuracies of the job's space can tell one: not beyond its sizes."""
    return arch is not None and arch.resolution in job.space.resolutions


def _top1(source: AccuracySource, genomes: Genomes, name: str) -> float:
    """Raises PredictorError where it is no number."""
    top1 = float(source.accuracy(genomes)[0])
    if not math.isfinite(top1):
        raise PredictorError(f"the source of accuracies gave {top1} for {name}")
    return min(100.0, max(0.0, top1))


def _energy(job: Run, network: NamedNetwork, device: str) -> _Amount | None:
    """None where no energies were measured, or not of all that the network needs."""
    path = job.workspace.table(device, job.space.name, "energy")
    if not path.exists():
        return None
    try:
        return _amount(job, network, Table.load(path))
    except TableError as error:
        job.listener.tell(WithoutEnergies(str(error)))
        return None


def _amount(job: Run, network: NamedNetwork, table: Table) -> _Amount:
    """What a run of the network takes.

    Its error is known for sub-networks of the space alone: those are what judged the table.
    """
    if lacking := [block for block in network.blocks if block in table.infeasible]:
        why = table.infeasible[lacking[0]]
        raise TableError(f"{table.device} cannot run {network.name}: {lacking[0].key}: {why}")
    if network.arch is not None:
        predictor = latency_of(replace(job, space=network.space), table)
        (value,) = predictor.predict(encode(network.space, [network.arch]))
        if not math.isfinite(value):
            pixels, space = network.arch.resolution, job.space_text or job.space.name
            option = () if table.quantity == "latency" else (f"--{table.quantity}",)
            where = ("--device", table.device, "--space", space, "--resolutions", str(pixels))
            raise TableError(
                f"the table of {table.device} does not cover {pixels} pixels: "
                f"{command('measure', *option, *where)} goes on"
            )
        return _Amount(float(value), predictor.statements, predictor.describe())
    check_current(job, table)
    parts = break_down([Network(network.name, network.blocks)], table)
    rests_on = "sums of blocks; no network of the space, so that nobody knows the error"
    return _Amount(sum(part.latency_ms for part in parts), SILENT, rests_on)


def accuracies(job: Run) -> AccuracySource | None:
    """Where accuracies come from; None where nobody named one, and nothing was trained here.

    Raises:
        FileFormatError: the file is broken.
    """
    if job.accuracy is not None:
        return accuracy_source(job.accuracy, job.space)
    if not job.supernet.can_train or not job.supernet.predictor.is_file():
        return None
    return AccuracyPredictor.load(job.supernet.predictor, job.space)
