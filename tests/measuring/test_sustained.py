"""Sustained latency: runs back to back until they are steady."""

import time
from pathlib import Path

import numpy as np
import pytest

from harness.device.conditions import Limits
from harness.measuring.plan import Entry, Plan
from harness.measuring.rounds import Visits
from harness.measuring.sustained import is_steady, sustain
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.torch import open_session
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.journal import Journal
from harness.transports.local import LocalTransport

PLAN = Plan(2, 4, 2, 0.5, 0.0, 0, sustain_s=1.0)


@pytest.mark.parametrize(
    ("medians", "steady"),
    [
        ([100, 100, 100], False),  # too few to tell
        ([100, 101, 100, 102], True),
        ([100, 104, 108, 112], False),  # it is warming up
        ([100, 110, 118, 120, 121, 120, 121], True),
    ],
)
def test_windows_are_steady_where_the_newest_took_as_long_as_those_before(
    medians: list[float], steady: bool
) -> None:
    assert is_steady(medians) == steady


def test_networks_are_run_for_long_and_a_killed_run_goes_on_behind_the_last(
    tmp_path: Path,
) -> None:
    genomes = sample(DIGITS, 3, np.random.default_rng(1))
    networks = [DIGITS.blocks(decode(DIGITS, genome)) for genome in genomes]
    entries = [
        Entry("sentinel", networks[0], networks[0]),
        Entry("anchor", networks[0], networks[0]),
        *(Entry("holdout", blocks, blocks) for blocks in networks[1:]),
    ]
    path = tmp_path / "journal.jsonl"
    session = open_session(LocalTransport(), RuntimeOptions(cpus="one"))
    done = []
    try:
        for _ in range(2):
            journal = Journal(path)
            visits = Visits(entries, PLAN, Limits(), "wall", journal)
            calls: list[tuple[int, int]] = []
            on_progress = lambda *each, calls=calls: calls.append(each)  # noqa: E731
            assert not sustain(session, visits, time.monotonic() - 1, on_progress)
            assert calls == [], "nothing is begun behind the deadline"
            assert sustain(session, visits, None, on_progress)
            journal.close()
            done.append(len(calls))
            kept = Journal(path)
            kept.close()
            assert sorted(kept.sustained) == [2, 3], "holdouts, and nobody else"
            for sustained in kept.sustained.values():
                assert sustained.seconds <= PLAN.sustain_s + 1
                assert sustained.runs * sustained.latency_ns / 1e9 <= sustained.seconds * 1.2
                assert sustained.latency_ns > 1000
            lines = path.read_text().splitlines()
            path.write_text("".join(line + "\n" for line in lines[:-1]))  # as if it was killed
    finally:
        session.close()
    assert done == [2, 1]
