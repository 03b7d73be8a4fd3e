from dataclasses import replace

import numpy as np
import pytest

from harness.cli.terminal import Terminal
from harness.deploy.front import Front
from harness.reports.content import content
from harness.reports.cost import cost
from harness.reports.trust import conditions, coverage, doubts
from harness.spaces.digits import DIGITS
from harness.tables.table import Table
from tests.reports.conftest import shown
from tests.tables.test_calibration import made_table


def told(front: Front, table: Table | None = None) -> set[str]:
    return {each.what for each in doubts(front, table)}


def test_a_front_that_was_measured_judged_well_and_evaluated_has_no_banner(front: Front) -> None:
    assert told(front) == set()


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"source": "somebody"}, "imported latencies"),
        ({"campaign": {"simulated": "simulated, by a model"}}, "never run on hardware"),
        ({"scale": None, "rests_on": "ten networks"}, "a first look"),
        ({"anchors": 0}, "not calibrated"),
    ],
)
def test_what_stands_behind_latencies_is_told(
    front: Front, facts: dict[str, object], what: str
) -> None:
    assert told(replace(front, table=front.table | facts)) == {what}


def test_a_front_that_tells_nothing_of_its_campaigns_is_read(front: Front) -> None:
    assert front.verification is not None
    silent = replace(
        front,
        table=front.table | {"campaign": None},
        verification=front.verification | {"campaign": None},
        settings={name: told for name, told in front.settings.items() if name != "device"},
    )
    assert told(silent) == set()
    assert (silent.identity, silent.images_per_run) == ({}, 1)
    assert [what for what, _ in cost([silent], None)][1:] == ["the search"]
    assert content([shown(silent)])["fronts"][0]["runtime"] == "unknown"


def test_an_error_above_ten_percent_is_told(front: Front) -> None:
    assert front.verification is not None
    for mape, expected in ((0.11, {"large error"}), (0.10, set())):
        checked = front.verification | {"latency_mape": mape}
        assert told(replace(front, verification=checked)) == expected
    unverified = replace(front.unverified(), table=front.table | {"mape": 0.2})
    assert {"large error", "not verified"} <= told(unverified)


def test_accuracies_that_nobody_measured_are_told_with_the_predictors_caveat(front: Front) -> None:
    points = tuple(replace(point, accuracy_measured=None) for point in front.points)
    predictor = front.accuracy_predictor | {"caveat": "it sits above"}
    predicted = replace(front, points=points, accuracy_predictor=predictor)
    (doubt,) = doubts(predicted, None)
    assert doubt.what == "accuracies are not measured"
    assert doubt.why.endswith("it sits above")


def test_an_int8_device_that_was_searched_by_float_accuracies_says_so_until_it_is_verified(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    device = {"title": "phone", "identity": {"precision": "int8"}}
    int8 = replace(front, settings=front.settings | {"device": device})
    assert "searched for float32, runs in int8" not in told(int8)
    assert "searched for float32, runs in int8" in told(int8.unverified())
    Terminal().show_front(int8.unverified())
    assert "this device computes in int8" in " ".join(capsys.readouterr().out.split())
    assert "searched for float32, runs in int8" not in told(front.unverified())


def test_accuracies_from_elsewhere_are_told(front: Front) -> None:
    assert front.verification is not None
    checked = front.verification | {"evaluated_on": "this computer, in float32"}
    assert told(replace(front, verification=checked)) == {"accuracies are not the device's own"}


@pytest.fixture
def table() -> Table:
    return replace(made_table(np.random.default_rng(0), 0), identity={"clock": "wall"})


def test_suspect_blocks_are_counted_and_told(front: Front, table: Table) -> None:
    first = next(record for record in table.records if record.role == "block")
    doubtful = replace(first, suspect=("too few visits",))
    records = tuple(doubtful if record == first else record for record in table.records)
    assert told(front, table) == set()
    assert told(front, replace(table, records=records)) == {"suspect blocks"}


def test_a_limit_that_could_not_be_checked_is_told(front: Front, table: Table) -> None:
    for checked, expected in (("unknown", {"temperature unknown"}), ("checked", set())):
        campaigns = {
            name: facts | {"conditions_after": {"max_temperature_c": checked}}
            for name, facts in table.campaigns.items()
        }
        assert told(front, replace(table, campaigns=campaigns)) == expected


def test_numbers_of_several_versions_are_told_with_what_differs(front: Front, table: Table) -> None:
    assert front.verification is not None
    then, now = front.table["campaign"]["environment"], {"python": "3.11", "torch": "2.14"}
    checked = front.verification | {
        "campaign": front.verification["campaign"] | {"environment": now}
    }
    (doubt,) = doubts(replace(front, verification=checked), None)
    assert doubt.what == "several versions"
    assert doubt.why.endswith(": torch 2.13 (blocks), 2.14 (verification)")
    used = [["blocks", then], ["calibration and error", now]]
    (doubt,) = doubts(replace(front, table=front.table | {"environments": used}), None)
    assert doubt.why.endswith(": torch 2.13 (blocks, verification), 2.14 (calibration and error)")
    refitted = with_refit(table, then, now)  # an older front: its table tells
    assert told(front, refitted) == {"several versions"}
    assert told(front, with_refit(table, then, then)) == set()


def with_refit(table: Table, then: dict[str, str], now: dict[str, str]) -> Table:
    """Calibrated anew in another campaign."""
    again = tuple(replace(r, campaign="d") for r in table.records if r.role != "block")
    first = table.campaigns["c"] | {"environment": then}
    later = first | {"environment": now, "started_at": "2026-02-01"}
    return replace(table, campaigns={"c": first, "d": later}, records=(*table.records, *again))


def test_what_changed_while_a_table_was_measured_is_told_in_a_line(
    front: Front, table: Table
) -> None:
    name = table.block_campaign()
    changes = {"governor": ["performance", "powersave"], "frequency_share": ["100%", "75%"]}
    facts = table.campaigns[name] | {"conditions_changed": changes}
    changed = replace(table, campaigns={**table.campaigns, name: facts})
    (doubt,) = doubts(front, changed)
    assert doubt.what == "conditions changed"
    assert doubt.why.endswith("governor performance, then powersave; clock limit 100%, then 75%")


def test_coverage_counts_blocks_of_the_space_and_resolutions_that_are_whole(table: Table) -> None:
    whole = coverage(table, DIGITS)
    assert whole is not None
    assert (whole.blocks, whole.of) == (145, 145)
    assert whole.resolutions == DIGITS.resolutions
    assert whole.suspect == 0
    at_20 = next(b for b in DIGITS.distinct_blocks((20,)) if b.height == 20)
    part = replace(table, records=tuple(r for r in table.records if r.blocks != (at_20,)))
    holed = coverage(part, DIGITS)
    assert holed is not None
    assert (holed.blocks, holed.resolutions) == (144, (12, 16))


def test_conditions_that_nobody_told_are_left_out() -> None:
    campaign = {
        "conditions_before": {"load": 0.5, "governor": None},
        "conditions_after": {"load": 0.7, "governor": None, "temperature_c": 40},
    }
    assert conditions(campaign) == {"load": (0.5, 0.7), "temperature_c": (None, 40)}
    assert conditions({}) == {}


def test_a_front_of_an_older_version_says_that_its_intervals_are_of_the_older_kind(
    front: Front,
) -> None:
    older = {name: value for name, value in front.table.items() if name != "statements"}
    assert told(replace(front, table=older), None) == {"intervals of the older kind"}
    assert told(front, None) == set()
