from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.device.device import Device
from harness.errors import TableError
from harness.measuring.plan import Entry, first_look_entries
from harness.predictors.block_table import BlockTablePredictor
from harness.predictors.choice import alike, latency_predictor
from harness.predictors.few_shot import FewShotPredictor, fit
from harness.predictors.transfer import Transferred
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, encode, sample
from harness.tables.record import Record, Statistics
from harness.tables.table import Table
from tests.tables.test_calibration import made_table

FACTS = {"started_at": "2026-02-01T00:00:00+00:00", "rounds": 10, "environment": {}}


def looked(known: Table, ratio: float, networks: int, campaign: str = "look") -> Table:
    """A new device that takes `ratio` times as long as a known one, after a first look."""
    predictor = BlockTablePredictor.from_table(known, DIGITS, "wall")

    def record(entry: Entry) -> Record:
        assert entry.arch is not None
        (latency_ms,) = predictor.predict(encode(DIGITS, [entry.arch]))
        ns = round(ratio * latency_ms * 1e6)
        statistics = Statistics(ns, ns, ns, ns, ns, ns, ns, ns, 10, 30)
        arguments = (entry.blocks, entry.arch, "latency", "wall", campaign, statistics)
        return Record("anchor", *arguments)

    entries = first_look_entries(DIGITS, networks)
    records = tuple(record(entry) for entry in entries if entry.role == "anchor")
    sentinel = replace(records[0], role="sentinel", blocks=entries[0].blocks, arch=None)
    return Table("new", "digits", known.identity, {campaign: FACTS}, (sentinel, *records))


def test_blocks_are_preferred_to_whatever_few_networks_tell(rng: np.random.Generator) -> None:
    table = made_table(rng, 0)
    both = replace(
        table,
        campaigns=table.campaigns | {"look": FACTS},
        records=(*table.records, *looked(table, 3, 10).records),
    )
    assert isinstance(latency_predictor(both, DIGITS, [table]), BlockTablePredictor)


def test_one_network_suffices_where_a_device_alike_is_known(rng: np.random.Generator) -> None:
    known = made_table(rng, 0)
    predictor = latency_predictor(looked(known, 3, 1), DIGITS, [known])
    assert isinstance(predictor, Transferred)
    genomes = sample(DIGITS, 50, rng)
    truth_ms = 3 * BlockTablePredictor.from_table(known, DIGITS, "wall").predict(genomes)
    assert predictor.predict(genomes) == pytest.approx(truth_ms, rel=1e-4)
    assert f"rescaled from the table of {known.device}" in predictor.describe()
    assert predictor.smallest()[0] == pytest.approx(predictor.predict(genomes).min(), rel=0.9)


def test_ten_networks_suffice_where_none_is_known(rng: np.random.Generator) -> None:
    known = made_table(rng, 0)
    predictor = latency_predictor(looked(known, 3, 10), DIGITS)
    assert isinstance(predictor, FewShotPredictor)
    assert "fitted to 10 whole networks" in predictor.describe()


def test_few_networks_and_nothing_known_is_one_clear_error(rng: np.random.Generator) -> None:
    with pytest.raises(TableError, match="1 networks and no blocks; make it whole with `harness"):
        latency_predictor(looked(made_table(rng, 0), 3, 1), DIGITS)


def test_a_later_campaign_restates_and_does_not_make_a_fit_more_certain(
    rng: np.random.Generator,
) -> None:
    known = made_table(rng, 0)
    first, later = looked(known, 3, 10), looked(known, 3.3, 10, "later")
    network = replace(later.records[1], role="network")
    both = replace(
        first,
        campaigns=first.campaigns | later.campaigns,
        records=(*first.records, *later.records, network),
    )
    before = latency_predictor(both, DIGITS)
    after = latency_predictor(both, DIGITS, campaign="later")
    genomes = np.stack([encode(DIGITS, [decode(DIGITS, g)])[0] for g in sample(DIGITS, 20, rng)])
    assert after.predict(genomes) == pytest.approx(1.1 * before.predict(genomes), rel=0.1)
    anchors = [record for record in first.records if record.role == "anchor"]
    fitted = fit(
        DIGITS,
        encode(DIGITS, [record.arch for record in anchors if record.arch is not None]),
        np.array([record.statistics.value for record in anchors]) / 1e6,
    )
    told = [each.statements["full"].log_error or 0.0 for each in (fitted, after, before)]
    assert told[0] <= told[1]
    assert told[0] <= told[2], "another campaign may be at another level"


def test_only_a_table_of_all_blocks_is_taken_for_one_of_a_device_alike(
    rng: np.random.Generator,
) -> None:
    known = replace(made_table(rng, 0), identity={"runtime": "litert", "batch": 1})
    assert alike(known, known.identity, DIGITS)
    assert not alike(looked(known, 3, 10), known.identity, DIGITS)


@dataclass(frozen=True)
class Told:
    """What an open session tells of where it runs."""

    environment: dict[str, str]


PHONES = ("pixel", "galaxy", "lg")
BOARDS = ("jetson", "raspberry")


def identity_of(name: str, root: Path) -> dict[str, object]:
    """Of a device of the catalogue, or of a profile in `root`."""
    device = Device.find(name, root)
    machine = "aarch64" if name.startswith(BOARDS) else "x86_64"
    processor = name if name.startswith(PHONES) else f"{name}, {machine}, 4 processors"
    told = {"processor": processor, "battery_saver": "off"}
    return device.identity(Told(told | ({"gpu": name} if device.on_gpu else {})))  # type: ignore[arg-type]


def table_of(name: str, root: Path, rng: np.random.Generator) -> Table:
    """Of all blocks, on the device's own clock."""
    table = replace(made_table(rng, 0), identity=identity_of(name, root))
    return replace(table, records=tuple(replace(r, clock=table.clock) for r in table.records))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cpu", "xeon-e5-2690-v4"),
        ("pixel-1", "galaxy-note10"),
        ("pixel-1-int8", "pixel-9-int8"),
        ("raspberry-pi-4", "raspberry-pi-5"),
        ("a100", "h100"),
        ("v100-b64", "h100-b64"),
        ("jetson-nano", "jetson-orin"),
        ("jetson-nano", "jetson-nano-5w"),
    ],
)
def test_devices_are_alike_that_differ_only_in_which_of_its_kind_they_are(
    tmp_path: Path, rng: np.random.Generator, one: str, other: str
) -> None:
    known = table_of(one, tmp_path, rng)
    assert alike(known, identity_of(other, tmp_path), DIGITS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cpu", "cuda"),  # both torch, float32, batch 1, one thread
        ("cpu", "jetson-nano"),
        ("raspberry-pi-4", "cpu-litert"),  # kernels of another instruction set
        ("h100", "jetson-orin"),  # launched by another instruction set
        ("cuda", "cuda-b64"),
        ("cuda", "cuda-graphs"),
        ("cuda", "cuda-float16"),
        ("cuda", "autocast"),
        ("cuda", "channels-last"),
        ("cpu", "cpu-channels-last"),
        ("cpu", "cpu-onnxruntime"),
        ("cpu-litert", "cpu-litert-int8"),
        ("jetson-orin", "jetson-orin-tensorrt"),
        ("jetson-orin-tensorrt", "tensorrt-graphs"),
        ("pixel-9", "pixel-9-gpu"),
        ("pixel-9-float16", "pixel-9-gpu"),  # by nothing but the delegate
        ("pixel-1", "pixel-9-nnapi"),
        ("pixel-1", "pixel-1-little"),
        ("zu3eg", "zu9eg"),
    ],
)
def test_devices_whose_latencies_are_not_proportional_are_not_alike(
    tmp_path: Path, rng: np.random.Generator, one: str, other: str
) -> None:
    profiles = {
        "autocast": ("cuda", 'torch]\nautocast = "float16"'),
        "channels-last": ("cuda", 'torch]\nmemory_format = "channels_last"'),
        "cpu-channels-last": ("cpu", 'torch]\nmemory_format = "channels_last"'),
        "tensorrt-graphs": ("jetson-orin-tensorrt", "tensorrt]\ncuda_graphs = true"),
        "pixel-9-float16": ("pixel-9", 'runtime_options]\nprecision = "float16"'),
        "pixel-9-nnapi": ("pixel-9", 'benchmark_model]\ndelegate = "nnapi"'),
        "pixel-1-little": ("pixel-1", 'runtime_options]\ncpus = "little"'),
    }
    (tmp_path / "devices").mkdir()
    for name, (extends, section) in profiles.items():
        text = f'title = "x"\nextends = "{extends}"\n[{section}\n'
        (tmp_path / "devices" / f"{name}.toml").write_text(text)
    for known_as, asked in ((one, other), (other, one)):
        known = table_of(known_as, tmp_path, rng)
        assert alike(known, known.identity, DIGITS)
        assert not alike(known, identity_of(asked, tmp_path), DIGITS)
