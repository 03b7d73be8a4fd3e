"""Campaigns on a device, and the only way that they get into its table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.device.device import Device
from harness.errors import TableError
from harness.measuring.campaign import Campaign, Work, latest_campaign, run_campaign
from harness.measuring.forecast import forecast
from harness.measuring.plan import Entry, Plan
from harness.measuring.preparation import prepared
from harness.measuring.rounds import Visits
from harness.measuring.simulation import simulate
from harness.pipeline.current import simulated_otherwise
from harness.pipeline.job import Run
from harness.pipeline.notices import Remark
from harness.runtimes.session import Session, SimulatedSession
from harness.tables.filling import Choice
from harness.tables.table import Table
from harness.tables.versions import differences

_FORGOTTEN = "window_s"  # older tables of energies told it; it does not change them


@dataclass(frozen=True)
class TableSession:
    """An open device, and the table as it was when it was opened."""

    job: Run
    device: Device
    session: Session
    identity: dict[str, Any]
    path: Path
    table: Table
    deadline_s: float | None  # by time.monotonic(): measuring has to be done by then

    def is_begun(self, entries: list[Entry], plan: Plan) -> bool:
        """Whether a run that was killed, or out of time, has left this to be gone on with."""
        latest = latest_campaign(self.session, self._work(entries, plan))
        return latest is not None and not self.table.campaigns.get(latest, {}).get("finished")

    def campaign(
        self,
        title: str,
        entries: list[Entry],
        plan: Plan,
        fresh: bool,
        choice: Choice | None = None,
    ) -> Campaign:
        """On the terminal: files, where they are not made meanwhile, then the plan, then the
        visits; `fresh`: a new one.

        `choice`: of the blocks among the entries, where a whole table is measured.
        """
        device, listener, work = self.device, self.job.listener, self._work(entries, plan)
        workloads = [entry.workload for entry in entries]
        if isinstance(self.session, SimulatedSession):
            if self.session.makes_files:
                with listener.step(f"prepare {device}") as progress:
                    self.session.prepare(workloads, progress)
            return simulate(self.session, work)

        def tell(visits: Visits) -> None:
            listener.tell(Remark(f"{device}: {forecast(visits, self.deadline_s, choice)}"))

        with (
            prepared(
                self.session, workloads, str(device), listener.step, self.deadline_s
            ) as preparation,
            listener.step(f"{title} on {device}") as progress,
        ):
            campaign = run_campaign(self.session, work, fresh, progress, tell, preparation)
        if waited := preparation.describe():
            listener.tell(Remark(f"{device}: {waited}"))
        return campaign

    def add(self, *campaigns: Campaign) -> Table:
        """The table with them, as `add_campaigns`."""
        return add_campaigns(self.path, self.table, campaigns)

    def _work(self, entries: list[Entry], plan: Plan) -> Work:
        name, space = self.device.name, self.table.space
        return Work(
            self.identity,
            self.identity["clock"],
            self.device.limits,
            entries,
            plan,
            lambda campaign: self.job.workspace.journal(name, space, campaign),
            self.deadline_s,
        )


@contextmanager
def table_session(
    job: Run,
    device: Device,
    quantity: str = "latency",
    deadline_s: float | None = None,
    *,
    name: str | None = None,
    anew: bool = False,
) -> Iterator[TableSession]:
    """The device, opened to measure what goes into its table of the space, or that of `name`.

    `anew`: also where the table was simulated with other settings than the device has now.

    Raises:
        DeviceError: the device cannot be used.
        TableError: the table is broken, or was measured on something else.
    """
    space = name or job.space.name
    path = job.workspace.table(device.name, space, quantity)
    with device.open(quantity) as session:
        identity = device.identity(session)
        table = load_or_start(path, device, space, identity, quantity, anew=anew)
        yield TableSession(job, device, session, identity, path, table, deadline_s)


def load_or_start(
    path: Path,
    device: Device,
    space: str,
    identity: dict[str, Any],
    quantity: str = "latency",
    *,
    anew: bool = False,
) -> Table:
    """The table in the file, or an empty one; `anew`: also where it was simulated otherwise.

    Raises:
        TableError: the file is broken, or was measured on something else.
    """
    if not path.exists():
        return Table(device.name, space, identity, {}, (), quantity=quantity)
    table = Table.load(path)
    if anew and table.simulated and device.profile.simulated and _apart(table, identity):
        return Table(device.name, space, identity, {}, ())
    _check_alike(path, table, identity)
    return table


def add_campaigns(path: Path, table: Table, campaigns: Sequence[Campaign]) -> Table:
    """On top of what is in the file by then.

    `table`: as `load_or_start` found it, before measuring. Others may have added theirs since.

    Raises:
        TableError: the file is broken, or is meanwhile of something else.
    """
    with files.changing(path):
        there = Table.load(path) if path.exists() else table
        if there.simulated and not table.campaigns and _apart(there, table.identity):
            there = table  # begun anew
        _check_alike(path, there, table.identity)
        for campaign in campaigns:
            there = there.with_campaign(campaign.id, campaign.facts, campaign.records)
        there.save(path)
    return there


def _apart(table: Table, identity: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What a table and a device are not alike in."""
    known, wanted = (
        {name: value for name, value in each.items() if name != _FORGOTTEN}
        for each in (table.identity, identity)
    )
    return differences(known, wanted)


def _check_alike(path: Path, table: Table, identity: dict[str, Any]) -> None:
    """Raises TableError where the table was measured on something else."""
    for name, (theirs, ours) in _apart(table, identity).items():
        if table.simulated and "dpu" in identity:
            raise TableError(simulated_otherwise(table))
        raise TableError(
            f"{path} was measured with {name} = {theirs!r}, this is {ours!r}: another device. Move "
            "the file away, or give this device its own name"
        )
