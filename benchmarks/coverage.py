"""Do intervals hold? Of each that is claimed to hold 95 times of 100, how often it does.

- measured: networks are measured in three campaigns, each in a new process, the second beside a
  busy loop. How many estimates of the later two lie in the interval of the first?
- predicted: a table, then other networks drawn and measured in a later campaign.
- verified: the same networks, predictions restated through that campaign's ten anchors.
- first look: ten networks measured, all others predicted; and one, where another device is known
  (GPUs of HELP, at the same batch).
- few shot: fifty of HELP's networks predict its others.
- accuracy: sub-networks that the accuracy predictor has not seen.

Prints tables and, as its last line, one JSON object.

    python benchmarks/coverage.py --parts measured,predicted,verified,first_look,few_shot,accuracy
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from campaigns import judging_networks, measured, table_of
from gpu_few_shot import DATA, batch, read, tried
from rich.console import Console
from rich.table import Table as Printed
from under_load import busy

from harness.device.device import Device
from harness.effort import FULL, QUICK
from harness.measuring.plan import calibration_entries, table_entries
from harness.predictors.choice import latency_predictor
from harness.predictors.latency import LatencyPredictor
from harness.predictors.transfer import transfer
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.genome import Genomes, encode
from harness.spaces.space import Space
from harness.tables.record import Statistics
from harness.tables.repeat import Interval, Repeat, clock_of, value_of
from harness.tables.statements import AT, Statement
from harness.tables.table import Table

Floats = npt.NDArray[np.float64]
DEVICES = ("cpu", "cpu-onnxruntime")
SPACES = (("digits", None), ("ofa-mbv3-w1.2", "160,192,224"))
FIRST_LOOK_NETWORKS = 10
PARTS = ("measured", "predicted", "verified", "first_look", "few_shot", "accuracy")


@dataclass(frozen=True)
class Held:
    """Claimed intervals of one setting and whether each held."""

    what: str
    inside: npt.NDArray[np.bool_]
    half_widths: Floats  # relative

    @classmethod
    def of(cls, what: str, truth: Floats, ends: Sequence[Interval]) -> "Held":
        low, high = np.reshape(np.array(ends, dtype=float), (-1, 2)).T
        return cls(what, (low <= truth) & (truth <= high), np.sqrt(high / low) - 1)

    @property
    def coverage(self) -> float:
        return float(self.inside.mean())

    @property
    def width(self) -> float:
        return float(np.median(self.half_widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--devices", default=",".join(DEVICES))
    parser.add_argument("--spaces", default=",".join(name for name, _ in SPACES))
    parser.add_argument("--networks", type=int, default=40, help="measured again and again")
    parser.add_argument("--judges", type=int, default=100, help="drawn after a table is made")
    parser.add_argument(
        "--folder", type=Path, help="keep what is measured here; what is there is judged again"
    )
    arguments = parser.parse_args()
    parts = set(arguments.parts.split(","))
    spaces = [part_of(find_space(n), r) for n, r in SPACES if n in arguments.spaces.split(",")]
    devices = [Device.find(name, Path()) for name in arguments.devices.split(",")]
    held: dict[str, list[Held]] = {part: [] for part in (*PARTS, "first_look_one")}
    more: list[Held] = []
    for device in devices:
        for space in spaces:
            if "measured" in parts:
                first, *others = again_and_again(
                    device, space, arguments.networks, arguments.folder
                )
                held["measured"].append(first)
                more += others
            if parts & {"predicted", "verified", "first_look"}:
                for part, each in predicted(device, space, arguments.judges, arguments.folder):
                    held.get(part, more).append(each)
    if "first_look" in parts:
        held["first_look_one"] += list(one_network())
    if "few_shot" in parts:
        held["few_shot"] += list(few_shot())
    found = figures(held, more)
    if "accuracy" in parts:
        from coverage_accuracy import accuracy_coverage

        with tempfile.TemporaryDirectory() as folder:
            found |= accuracy_coverage(root=arguments.folder or Path(folder))
    print(json.dumps(found))


def figures(held: dict[str, list[Held]], more: Sequence[Held]) -> dict[str, float]:
    """Means over the settings of a part, and median half widths, relative; printed, too."""
    printed = Printed(title="95 % intervals that held")
    for heading in ("", "held", "of", "median half width"):
        printed.add_column(heading)
    found = {}
    for part, settings in held.items():
        for each in settings:
            row = f"{each.coverage:.1%}", str(len(each.inside)), f"{each.width:.1%}"
            printed.add_row(f"{part}: {each.what}", *row)
        if settings:
            mean = float(np.mean([each.coverage for each in settings]))
            found[f"coverage_{part}"] = mean
            found[f"width_{part}"] = float(np.median([each.width for each in settings]))
            row = f"{mean:.1%}", str(len(settings)), f"{found[f'width_{part}']:.1%}"
            printed.add_row(f"[b]{part}: mean of the settings[/b]", *row)
            printed.add_section()
    for each in more:
        row = f"{each.coverage:.1%}", str(len(each.inside)), f"{each.width:.1%}"
        printed.add_row(each.what, *row)
    Console(width=120).print(printed)
    return found


def kept(folder: Path | None, name: str, make: Callable[[], Table]) -> Table:
    """The table in the folder, or one that is measured now and kept there."""
    path = None if folder is None else folder / f"{name}.jsonl"
    if path is not None and path.exists():
        return Table.load(path)
    table = make()
    if path is not None:
        table.save(path)
    return table


def again_and_again(device: Device, space: Space, networks: int, folder: Path | None) -> list[Held]:
    """Three campaigns: full speed of the later two in the first's intervals, then what users see
    in the third, which was as quiet as the first."""
    table = kept(
        folder,
        f"again.{device.name}.{space.name}",
        lambda: _three_campaigns(device, space, networks),
    )
    names = sorted(table.campaigns, key=table.started)
    first = replace(table, records=tuple(r for r in table.records if r.campaign == names[0]))
    where = f"{device.name}, {space.name}"
    both = [_later(first, table, name, "full", where) for name in names[1:]]
    found = [_together(where, both)]
    told = Repeat.of(table)
    for number, each, shift in zip((2, 3), both, told.shifts, strict=True):
        apart = f"level {shift:+.1%} from the one before, own {told.own_sd:.1%}"
        found.append(replace(each, what=f"  {where}, campaign {number}: {apart}"))
    others = (at for at in AT[1:] if Repeat.of(first, at).interval(_wall(first)[0]) is not None)
    quiet = (_later(first, table, names[2], at, f"  {where}, {at}, quiet again") for at in others)
    return [*found, *(each for each in quiet if len(each.inside))]


def _three_campaigns(device: Device, space: Space, networks: int) -> Table:
    """Each in a new process, the second beside a busy loop."""
    entries = [*calibration_entries(space, 10), *judging_networks(space, networks)]
    cores = sorted(os.sched_getaffinity(0))
    campaigns = []
    for number in range(3):
        with device.open() as session, busy(cores[0] if number == 1 else None):
            plan = replace(FULL.table, sustain_s=1.0, seed=number)
            campaigns.append(measured(device, session, entries, plan))
            table = table_of(device, session, space, *campaigns)
    return table


def _together(what: str, held: Sequence[Held]) -> Held:
    inside = np.concatenate([each.inside for each in held])
    return Held(what, inside, np.concatenate([each.half_widths for each in held]))


def _wall(table: Table) -> list[Statistics]:
    return [r.statistics for r in table.records if r.role == "holdout" and r.clock == "wall"]


def _later(first: Table, table: Table, campaign: str, at: str, what: str) -> Held:
    """The campaign's estimates in the first one's intervals."""
    repeat, clock = Repeat.of(first, at), clock_of(table, at)
    known = {r.blocks: r.statistics for r in first.records if r.clock == clock}
    pairs = [
        (value_of(record.statistics, at), repeat.interval(known[record.blocks]))
        for record in table.select("holdout", clock, campaign)
    ]
    told = [(value, ends) for value, ends in pairs if value is not None and ends is not None]
    return Held.of(what, np.array([value for value, _ in told], float), [ends for _, ends in told])


def predicted(
    device: Device, space: Space, judges: int, folder: Path | None
) -> Iterator[tuple[str, Held]]:
    """A table and a first look, and then other networks in a later campaign."""
    where = f"{device.name}, {space.name}"
    named = f"{device.name}.{space.name}"
    first_look = kept(folder, f"look.{named}", lambda: _first_look(device, space))
    whole = kept(folder, f"table.{named}", lambda: _table_and_later(device, space, judges))
    later = max(whole.campaigns, key=whole.started)
    table = replace(whole, records=tuple(r for r in whole.records if r.campaign != later))
    entries = whole.select("network", device.clock, later)
    walls = {record.blocks: record for record in whole.select("network", "wall", later)}
    genomes = encode(space, [entry.arch for entry in entries if entry.arch is not None])
    truth = np.array([entry.statistics.value for entry in entries]) / 1e6
    for part, told in (
        ("predicted", latency_predictor(table, space)),
        ("verified", latency_predictor(whole, space, (), later)),
        ("first_look", latency_predictor(first_look, space)),
    ):
        yield part, _against(told, genomes, truth, told.statements["full"], where)
        for at in ("p50", "p90"):
            seen = [value_of(walls[entry.blocks].statistics, at) for entry in entries]
            if at in told.statements and all(seen):
                stated = told.statements[at]
                seen_ms = np.array(seen, dtype=float) / 1e6
                yield (
                    "more",
                    _against(told, genomes, seen_ms, stated, f"  {part}: {where}, {at}"),
                )


def _first_look(device: Device, space: Space) -> Table:
    entries = calibration_entries(space, FIRST_LOOK_NETWORKS)
    with device.open() as session:
        look = measured(device, session, entries, replace(QUICK.verification, sustain_s=0.0))
        return table_of(device, session, space, look)


def _table_and_later(device: Device, space: Space, judges: int) -> Table:
    """A table, and in a later campaign ten anchors and networks that it has not seen."""
    plan = replace(FULL.table, sustain_s=0.0)
    with device.open() as session:
        blocks = measured(device, session, table_entries(space, plan.anchors), plan)
    known = {record.blocks for record in blocks.records}
    drawn = [each for each in judging_networks(space, judges) if each.blocks not in known]
    entries = [*calibration_entries(space, 10), *(replace(each, role="network") for each in drawn)]
    with device.open() as session:
        later = measured(device, session, entries, plan)
        return table_of(device, session, space, blocks, later)


def _against(
    told: LatencyPredictor,
    genomes: Genomes,
    truth_ms: Floats,
    statement: Statement,
    what: str,
) -> Held:
    ends = [statement.interval(float(ms)) for ms in told.predict(genomes)]
    return Held.of(what, truth_ms, [each for each in ends if each is not None])


def few_shot() -> Iterator[Held]:
    """Fifty networks of each setting of HELP predict the others."""
    for name, setting in read(DATA).items():
        for trial in tried(setting, 50, 3):
            told = trial.predictor.statements["full"]
            ends = [told.interval(float(ms)) for ms in trial.predictor.predict(trial.genomes)]
            yield Held.of(name, trial.measured_ms, [each for each in ends if each is not None])


def one_network() -> Iterator[Held]:
    """One network measured where another GPU is known at the same batch: all pairs of HELP's."""
    trials = {name: next(iter(tried(each, 50, 1))) for name, each in read(DATA).items()}
    held = []
    for known, other in permutations(trials, 2):
        if batch(known) != batch(other):
            continue
        genomes, measured_ms = trials[other].genomes, trials[other].measured_ms
        for one in range(20):
            moved = transfer(
                trials[known].predictor, genomes[one : one + 1], measured_ms[one : one + 1], known
            )
            judged = slice(one + 1, one + 51)
            told = moved.statements["full"]
            ends = [told.interval(float(ms)) for ms in moved.predict(genomes[judged])]
            held.append(
                Held.of("", measured_ms[judged], [each for each in ends if each is not None])
            )
    yield _together("one network, another GPU known", held)


if __name__ == "__main__":
    main()
