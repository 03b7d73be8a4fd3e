"""Campaigns of simulated devices: each workload is asked about once, and nothing is journalled."""

from datetime import UTC, datetime

from harness.errors import Infeasible
from harness.measuring.campaign import Campaign, Work
from harness.measuring.plan import Entry, campaign_id
from harness.runtimes.session import SimulatedSession
from harness.tables.record import Record, Statistics


def simulate(session: SimulatedSession, work: Work) -> Campaign:
    """A record of every entry that the device can run; the facts list blocks that it cannot.

    Raises:
        Infeasible: it cannot run a network file.
    """
    name = campaign_id(work.identity, session.environment, work.entries, work.plan)
    records: list[Record] = []
    infeasible: dict[str, str] = {}
    for entry in work.entries:
        try:
            latency_ns = session.latency_ns(entry.workload)
        except Infeasible:
            if not entry.blocks:
                raise
            infeasible |= session.infeasible(entry.blocks)
            continue
        records.append(_record(entry, name, work.clock, latency_ns))
    facts = {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": 1,
        "finished": True,
        "environment": dict(session.environment),
        "simulated": session.evidence,
    }
    if infeasible:
        facts["infeasible"] = infeasible
    return Campaign(name, facts, tuple(records))


def _record(entry: Entry, campaign: str, clock: str, latency_ns: int) -> Record:
    same = max(1, latency_ns)
    statistics = Statistics(same, same, same, same, same, same, same, same, visits=1, runs=1)
    return Record(entry.role, entry.blocks, entry.arch, "latency", clock, campaign, statistics)
