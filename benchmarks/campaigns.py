"""What the benchmarks share: campaigns whose journals are thrown away, and unseen networks."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.device.device import Device
from harness.measuring.campaign import Campaign, Work, run_campaign
from harness.measuring.plan import Entry, Plan, network_entry
from harness.measuring.rounds import Visits
from harness.runtimes.session import Session
from harness.spaces.genome import decode, sample
from harness.spaces.space import Space
from harness.tables.table import Table

JUDGES_SEED = 909


def judging_networks(space: Space, count: int) -> list[Entry]:
    """Random networks that no table was fitted to."""
    rng = np.random.default_rng(JUDGES_SEED)
    return [
        network_entry("holdout", space, decode(space, genome))
        for genome in sample(space, count, rng)
    ]


def measured(
    device: Device,
    session: Session,
    entries: Sequence[Entry],
    plan: Plan,
    on_plan: Callable[[Visits], None] = lambda _visits: None,
) -> Campaign:
    """A new campaign; its raw samples are not kept."""
    session.prepare([entry.workload for entry in entries])
    with tempfile.TemporaryDirectory() as folder:
        work = Work(
            device.identity(session),
            device.clock,
            device.limits,
            entries,
            plan,
            lambda name: Path(folder, f"{name}.jsonl"),
        )
        return run_campaign(session, work, on_plan=on_plan)


def table_of(device: Device, session: Session, space: Space, *campaigns: Campaign) -> Table:
    table = Table(device.name, space.name, device.identity(session), {}, ())
    for campaign in campaigns:
        table = table.with_campaign(campaign.id, campaign.facts, campaign.records)
    return table
