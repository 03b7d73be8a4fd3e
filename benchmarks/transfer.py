"""How well does one network, timed on a device that is not here, tell what others take there?

Reads every `ncnn/*.csv` below HARNESS_DATA. Each setting of each device is predicted by the other
devices alone, from one or two known ones of five published networks; the other networks judge.
`_1` knows MobileNetV2, which most public tables have; `_2` it and another, each in turn; `any_1`
and `any_2` are over every choice of known networks. Yardstick: the known network's time, scaled by
the middle ratio of the other devices. `own` rescales a device of one's own, as `harness predict
--from-device` does: a random one of the others, by three random networks, the other two judge.
`again`, a ceiling: machines that the tables have twice in one setting, each run told by the other
one and MobileNetV2.
Prints tables and, as its last line, one JSON object.

    python benchmarks/transfer.py
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import exp, log
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.pipeline.elsewhere import rescaled_off
from harness.predictors.neighbours import Neighbours
from harness.predictors.transfer import ratio_between
from harness.spaces.digits import DIGITS
from harness.tables.imported import ImportedDevice, ImportedDevices
from harness.tables.ncnn import read
from harness.tables.repeat import Interval
from harness.tables.table_format import ImportRequest

DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data"))
FIRST = "mobilenet_v2"
NETWORKS = (FIRST, "mobilenet_v3", "mnasnet", "proxylessnasnet", "efficientnet_b0")
OWN_KNOWN = 3
COLUMNS = (
    *("known", "networks", "within 5 %", "10 %", "mean error", "middle error"),
    *("coverage", "middle interval", "yardstick: 5 %", "10 %", "mean"),
)


@dataclass(frozen=True)
class Judged:
    """A prediction and what was measured."""

    known: tuple[str, ...]
    network: str
    processor: str
    ratio: float  # predicted to measured
    yardstick: float  # the same of the scaled time
    covered: bool
    width: float  # logarithm, of half of the interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="judge every so many-th setting")
    every = parser.parse_args().every
    devices = load()
    console = Console(width=160)
    judged = [each for count in (1, 2) for each in predicted(devices, count, every)]
    own = list(from_own(devices, every))
    show(console, judged, own)
    figures: dict[str, float] = {}
    for count in (1, 2):
        of_count = [each for each in judged if len(each.known) == count]
        figures |= summary([each for each in of_count if FIRST in each.known], str(count))
        figures |= summary(of_count, f"any_{count}")
    ceiling = summary(list(again(devices)), "again")
    del ceiling["coverage_again"]  # of no interval
    console.print("by the same machine's other run:", ceiling)
    print(json.dumps(figures | summary(own, "own") | ceiling))


def load() -> tuple[ImportedDevice, ...]:
    """The devices of all files, with one of the networks at least."""
    paths = sorted((DATA / "ncnn").glob("*.csv"))
    if not paths:
        raise SystemExit(f"no ncnn/*.csv below {DATA}: set HARNESS_DATA")
    found = read(ImportRequest(paths, "ncnn-published", "ncnn", DIGITS)).found
    assert isinstance(found, ImportedDevices)
    return tuple(each for each in found.devices if each.networks.keys() & set(NETWORKS))


def predicted(devices: Sequence[ImportedDevice], count: int, every: int) -> Iterator[Judged]:
    among = Neighbours(tuple(devices))
    for known in combinations(NETWORKS, count):
        for target in devices[::every]:
            left = [n for n in NETWORKS if n not in known and n in target.networks]
            if not set(known) <= target.networks.keys():
                continue
            for told in among.predict(target, known, left):
                scaled_ms = scaled(devices, target, known, told.network)
                yield judge(target, known, told.network, told.latency_ms, told.interval, scaled_ms)


def judge(
    target: ImportedDevice,
    known: tuple[str, ...],
    network: str,
    latency_ms: float,
    interval: Interval,
    scaled_ms: float,
) -> Judged:
    measured_ms = target.networks[network].full_speed_ms
    low, high = interval
    return Judged(
        known,
        network,
        target.processor,
        latency_ms / measured_ms,
        scaled_ms / measured_ms,
        low <= measured_ms <= high,
        log(high / low) / 2,
    )


def scaled(
    devices: Sequence[ImportedDevice], target: ImportedDevice, known: Sequence[str], network: str
) -> float:
    """The known networks' mean time, by the middle ratio over all other devices."""
    wanted = {network, *known}
    ratios = [
        level(other, [network]) - level(other, known)
        for other in devices
        if other.title != target.title and wanted <= other.networks.keys()
    ]
    return exp(level(target, known) + float(np.median(ratios)))


def level(device: ImportedDevice, networks: Sequence[str]) -> float:
    return float(np.mean([log(device.networks[name].full_speed_ms) for name in networks]))


def from_own(devices: Sequence[ImportedDevice], every: int) -> Iterator[Judged]:
    """Each setting from that of another device on its CPU, as one's own would be."""
    rng = np.random.default_rng(0)
    whole = [each for each in devices if set(NETWORKS) <= each.networks.keys()]
    for target in whole[::every]:
        others = [each for each in whole if each.title != target.title]
        own = rng.choice(len([each for each in others if each.processor == "cpu"]))
        here = [each for each in others if each.processor == "cpu"][own]
        names = rng.permutation(NETWORKS).tolist()
        known, left = tuple(names[:OWN_KNOWN]), names[OWN_KNOWN:]
        rest = [each for each in others if each.title != here.title]
        ratios = np.array([level(target, [name]) - level(here, [name]) for name in known])
        off = rescaled_off(rest, len(known))
        assert off is not None
        ratio, _ = ratio_between(ratios, None)
        for network in left:
            latency_ms = ratio * here.networks[network].full_speed_ms
            ends = latency_ms * exp(-off), latency_ms * exp(off)
            yield judge(target, known, network, latency_ms, ends, latency_ms)


def again(devices: Sequence[ImportedDevice]) -> Iterator[Judged]:
    """Each run from another of the same machine and setting; nobody tells an interval."""
    runs = [each for each in devices if FIRST in each.networks]
    for target, other in permutations(runs, 2):
        if setting(target) == setting(other):
            for network in NETWORKS[1:]:
                if network in target.networks and network in other.networks:
                    ratio_log = level(other, [network]) - level(other, [FIRST])
                    told_ms = exp(level(target, [FIRST]) + ratio_log)
                    ends = told_ms, told_ms
                    yield judge(target, (FIRST,), network, told_ms, ends, told_ms)


def setting(device: ImportedDevice) -> tuple[object, ...]:
    return device.title, device.processor, device.num_threads, device.cores


def summary(judged: Sequence[Judged], name: str) -> dict[str, float]:
    errors = np.abs(np.array([each.ratio for each in judged]) - 1)
    return {
        f"within_5_{name}": round(float(np.mean(errors <= 0.05)), 4),
        f"within_10_{name}": round(float(np.mean(errors <= 0.10)), 4),
        f"mape_{name}": round(float(errors.mean()), 4),
        f"coverage_{name}": round(float(np.mean([each.covered for each in judged])), 4),
    }


def show(console: Console, judged: Sequence[Judged], own: Sequence[Judged]) -> None:
    table = Table(*COLUMNS)
    for known in dict.fromkeys(each.known for each in judged):
        row(table, ", ".join(known), [each for each in judged if each.known == known])
    table.add_section()
    for count in (1, 2):
        of_count = [each for each in judged if len(each.known) == count]
        row(table, f"{FIRST}, {count} known", [each for each in of_count if FIRST in each.known])
        row(table, f"any {count}", of_count)
        for processor in dict.fromkeys(each.processor for each in of_count):
            own_kind = [each for each in of_count if each.processor == processor]
            row(table, f"any {count}, on {processor}s", own_kind)
        for network in NETWORKS:
            row(table, f"any {count}, of {network}", [e for e in of_count if e.network == network])
    row(table, "own device, three", own)
    console.print(table)


def row(table: Table, name: str, judged: Sequence[Judged]) -> None:
    if not judged:
        return
    errors = np.abs(np.array([each.ratio for each in judged]) - 1)
    before = np.abs(np.array([each.yardstick for each in judged]) - 1)
    table.add_row(
        name,
        str(len(judged)),
        f"{np.mean(errors <= 0.05):.1%}",
        f"{np.mean(errors <= 0.10):.1%}",
        f"{errors.mean():.1%}",
        f"{np.median(errors):.1%}",
        f"{np.mean([each.covered for each in judged]):.1%}",
        f"+-{np.expm1(np.median([each.width for each in judged])):.0%}",
        f"{np.mean(before <= 0.05):.1%}",
        f"{np.mean(before <= 0.10):.1%}",
        f"{before.mean():.1%}",
    )


if __name__ == "__main__":
    main()
