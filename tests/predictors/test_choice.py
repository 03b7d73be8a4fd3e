from dataclasses import replace

import numpy as np
import pytest

from harness.errors import TableError
from harness.measuring.plan import Entry, first_look_entries
from harness.predictors.block_table import BlockTablePredictor
from harness.predictors.choice import alike, latency_predictor
from harness.predictors.few_shot import FewShotPredictor
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
    told = [each.statements["full"].log_error for each in (before, after)]
    assert told[0] is not None
    assert told[1] is not None
    assert told[1] >= told[0]


def test_devices_are_alike_where_their_settings_are_and_all_blocks_are_there(
    rng: np.random.Generator,
) -> None:
    known = replace(made_table(rng, 0), identity={"runtime": "litert", "batch": 1})
    assert alike(known, {"runtime": "litert", "batch": 1, "processor": "another"}, DIGITS)
    assert not alike(known, {"runtime": "litert", "batch": 8}, DIGITS)
    assert not alike(looked(known, 3, 10), known.identity, DIGITS)
