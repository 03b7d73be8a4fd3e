"""A table: all records of a device and space, of one quantity, in one file of JSON lines."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness import files
from harness.errors import FileFormatError, MissingExtra, TableError, UsageError
from harness.hints import command, install
from harness.schema import checked
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.tables.batch import images_per_run
from harness.tables.facts import Header
from harness.tables.filling import Filled, fill
from harness.tables.record import Record

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = 1
FEWEST_IN_COMMON = 5


@dataclass(frozen=True)
class Table:
    """Records of a device and space; `campaigns` says how each run of measuring was done."""

    device: str
    space: str
    identity: dict[str, Any]
    campaigns: dict[str, dict[str, Any]]
    records: tuple[Record, ...]
    source: str | None = None  # of an imported table: where its numbers come from
    quantity: str = "latency"  # or "energy", "memory"

    @property
    def clock(self) -> str:
        """The clock that its numbers are read from."""
        return str(self.identity.get("clock", "wall"))

    @property
    def images_per_run(self) -> int:
        """All its numbers are of runs of so many images."""
        return images_per_run(self.identity)

    @property
    def simulated(self) -> str | None:
        """What stands behind simulated numbers; None where they were measured or imported."""
        found = [facts["simulated"] for facts in self.campaigns.values() if "simulated" in facts]
        return str(found[-1]) if found else None

    @property
    def infeasible(self) -> dict[Block, str]:
        """Blocks that the device cannot run, and why: they have no latency.

        Raises:
            TableError: the header names what is no block.
        """
        try:
            listed = [facts.get("infeasible", {}) for facts in self.campaigns.values()]
            return {Block.parse(key): str(why) for found in listed for key, why in found.items()}
        except FileFormatError as error:
            raise TableError(f"the table of {self.device} lists as infeasible: {error}") from error

    @property
    def left_out(self) -> tuple[Block, ...]:
        """Blocks that campaigns left to be filled in; some may have been visited since.

        Raises:
            TableError: the header names what is no block.
        """
        try:
            listed = [facts.get("left_out", ()) for facts in self.campaigns.values()]
            return tuple(Block.parse(key) for keys in listed for key in keys)
        except FileFormatError as error:
            raise TableError(f"the table of {self.device} lists as left out: {error}") from error

    @classmethod
    def load(cls, path: Path | str) -> "Table":
        """Read a table.

        Raises:
            TableError: the file is missing, broken (the line is named), or of another schema.
        """
        path = Path(path)
        if not path.exists():
            raise TableError(f"there is no table {path}; make it with `harness measure`")
        files.check_regular(path)
        try:
            return cls.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise TableError(f"cannot read {path}: {error.strerror}") from error

    @classmethod
    def parse(cls, content: bytes, name: str) -> "Table":
        """Read a table's content; `name` is what messages call it.

        Raises:
            TableError: it is broken (the line is named), or of another schema.
        """
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise TableError(f"cannot read {name}: {files.NO_TEXT}") from error
        if not lines:
            raise TableError(f"{name} is empty; move it away and measure again")
        try:
            header = files.parsed_json(lines[0])
        except ValueError as error:  # it may be anybody's
            raise TableError(f"{name} is no latency table: {error}") from error
        table, whole = cls("", "", {}, {}, ()), None
        records = []
        seen: set[tuple[object, ...]] = set()
        for number, line in enumerate(lines, start=1):
            try:
                if number == 1:
                    table, whole = cls._from_header(header)
                else:
                    records.append(table._checked(Record.parse(line), seen))
            except TableError as error:
                raise TableError(
                    f"{name}:{number}: {error}; restore the file, or move it away and measure again"
                ) from error
        if whole not in (None, len(records)):
            raise TableError(
                f"{name} has {len(records)} of its {whole} records; restore the file, or move it "
                "away and measure again"
            )
        return replace(table, records=tuple(records))

    @classmethod
    def _from_header(cls, value: Any) -> tuple["Table", int | None]:
        """The table without its records, and how many it should have; older ones do not tell."""
        if not isinstance(value, dict) or value.get("kind") != "table":
            raise TableError("not the header of a latency table")
        if value.get("schema") != SCHEMA:
            raise TableError(f"schema {value.get('schema')!r}, this version reads {SCHEMA}")
        try:
            header = checked(Header, value)
        except ValueError as error:
            raise TableError(f"the header: {error}") from error
        table = cls(
            header["device"],
            header["space"],
            header["identity"],
            header["campaigns"],
            (),
            header.get("source"),
            header.get("quantity", "latency"),
        )
        _ = table.infeasible, table.left_out  # their keys are blocks
        return table, header.get("records")

    def _checked(self, record: Record, seen: set[tuple[object, ...]]) -> Record:
        """The record, where its campaign is known and `seen` has none of its key yet."""
        if record.quantity != self.quantity:
            raise TableError(f"a record of {record.quantity} in a table of {self.quantity}")
        if record.campaign not in self.campaigns:
            raise TableError(f"a record of campaign {record.campaign!r}, which the header lacks")
        key = record.key
        if key in seen:
            raise TableError("the same record a second time")
        if record.arch and _network(self.space, record.arch) not in (None, record.blocks):
            raise TableError(f"blocks that are not those of the arch {record.arch.to_json()}")
        seen.add(key)
        return record

    def save(self, path: Path) -> None:
        """Write the whole table, sorted, in one step."""
        header = {
            "kind": "table",
            "schema": SCHEMA,
            "device": self.device,
            "space": self.space,
            "identity": self.identity,
            "campaigns": self.campaigns,
            "records": len(self.records),
        }
        if self.source is not None:
            header["source"] = self.source
        if self.quantity != "latency":  # older tables do not tell
            header["quantity"] = self.quantity
        values = [header, *(record.to_json() for record in sorted(self.records, key=_order))]
        text = "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)
        files.write_text(path, text)

    def to_pandas(self) -> "DataFrame":
        """A row for each record; times in ms, of a table of energies in mJ.

        Columns: role, what (the block; of networks the arch as JSON), clock, campaign, visits,
        runs, suspect, and each of the statistics with its unit.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra(f"pandas is not installed: {install('pandas')}") from error
        return pandas.DataFrame([record.to_row() for record in self.records])

    def with_campaign(
        self, campaign: str, facts: dict[str, Any], records: Iterable[Record]
    ) -> "Table":
        """The table with a finished campaign added; adding it twice changes nothing."""
        others = [record for record in self.records if record.campaign != campaign]
        return replace(
            self,
            campaigns=self.campaigns | {campaign: facts},
            records=(*others, *records),
        )

    def unverified(self, archs: Set[Arch]) -> "Table":
        """The table as it was before a campaign measured these networks and no other."""
        found: dict[str, set[Arch | None]] = defaultdict(set)
        for record in self.records:
            if record.role == "network":
                found[record.campaign].add(record.arch)
        verified = {campaign for campaign, measured in found.items() if measured == archs}
        return replace(
            self,
            campaigns={n: facts for n, facts in self.campaigns.items() if n not in verified},
            records=tuple(r for r in self.records if r.campaign not in verified),
        )

    def select(self, role: str, clock: str, campaign: str) -> list[Record]:
        """A campaign's records; where several devices shared the work, also those of the others,
        at its level."""
        found = {record.blocks: record for record in self._of(role, clock, campaign)}
        for other in self.campaigns.get(campaign, {}).get("beside", ()):
            records = self._of(role, clock, other)
            shift = self.shift(clock, campaign, other) if records else 1.0
            for record in records:
                if record.blocks not in found:
                    statistics = record.statistics.scaled(1 / shift)
                    found[record.blocks] = replace(record, statistics=statistics)
        return list(found.values())

    def _of(self, role: str, clock: str, campaign: str) -> list[Record]:
        wanted = (role, clock, campaign)
        return [r for r in self.records if (r.role, r.clock, r.campaign) == wanted]

    @property
    def has_blocks(self) -> bool:
        """False where only whole networks were measured, for a first look."""
        return any(record.role == "block" for record in self.records)

    def first_look(self) -> str:
        """The campaign of nothing but networks to predict others from: with most, then the newest.

        Raises:
            TableError: there is none.
        """
        roles: dict[str, set[str]] = defaultdict(set)
        for record in self.records:
            roles[record.campaign].add(record.role)
        looks = [name for name, seen in roles.items() if "anchor" in seen <= {"sentinel", "anchor"}]
        if not looks:
            raise self._has_no_blocks()
        sizes = Counter(record.campaign for record in self.records)
        return max(looks, key=lambda name: (sizes[name], self.started(name)))

    def _has_no_blocks(self) -> TableError:
        todo = command("measure", "--device", self.device, "--space", self.space)
        return TableError(
            f"the table of {self.device} for {self.space} has no blocks yet; {todo} measures them"
        )

    def block_campaign(self) -> str:
        """The campaign that measured most blocks; of several the newest that was finished.

        Raises:
            TableError: no campaign has measured blocks.
        """
        blocks = Counter(record.campaign for record in self.records if record.role == "block")
        if not blocks:
            raise self._has_no_blocks()

        def rank(campaign: str) -> tuple[int, bool, str]:
            finished = bool(self.campaigns[campaign].get("finished", True))
            return blocks[campaign], finished, self.started(campaign)

        return max(blocks, key=rank)

    def calibrating_campaign(self) -> str:
        """The campaign whose anchors calibrate: the newest that has holdouts to judge them."""
        judged = {record.campaign for record in self.records if record.role == "holdout"}
        return max(judged, key=self.started) if judged else self.block_campaign()

    def newest(self) -> str:
        """The campaign that was started last."""
        return max(self.campaigns, key=self.started)

    def started(self, campaign: str) -> str:
        return str(self.campaigns[campaign]["started_at"])

    def block_values(self, clock: str) -> dict[Block, float]:
        """What each block takes, at the level of the machine in `block_campaign`; filled in where
        nobody visited it, infinite for what the device cannot run."""
        values = {block: each.value for block, each in self.filled(clock).items()}
        values |= {block: r.statistics.value for block, r in self.blocks(clock).items()}
        return dict.fromkeys(self.infeasible, math.inf) | values

    def filled(self, clock: str) -> dict[Block, Filled]:
        """What blocks that nobody visited are taken to take; `tables.filling` says by what."""
        visited = {block: r.statistics.value for block, r in self.blocks(clock).items()}
        left_out = dict.fromkeys(self.left_out)
        known = visited.keys() | self.infeasible.keys()
        return fill(tuple(visited.items()), tuple(b for b in left_out if b not in known))

    def blocks(self, clock: str) -> dict[Block, Record]:
        """The record of each block, at the level of the machine in `block_campaign`.

        What later campaigns measured again replaces it, what others measured besides completes it;
        the level of a machine shifts between campaigns, so their times are divided by the shift.
        """
        base = self.block_campaign()
        merged = {record.blocks[0]: record for record in self._of("block", clock, base)}
        for campaign in sorted(self.campaigns, key=self.started):
            records = self._of("block", clock, campaign) if campaign != base else []
            if not records:
                continue
            shift = self.shift(clock, base, campaign)
            newer = self.started(campaign) > self.started(base)
            for record in records:
                if newer or record.blocks[0] not in merged:
                    statistics = record.statistics.scaled(1 / shift)
                    merged[record.blocks[0]] = replace(record, statistics=statistics)
        return merged

    def shift(self, clock: str, old: str, new: str) -> float:
        """How many times more everything took in campaign `new`, the median over what both have.

        Blocks that were measured again because they moved do not count.

        Raises:
            TableError: the two have too little in common.
        """
        if self.simulated is not None:
            return 1.0
        moved = set(self.campaigns[new].get("moved", ()))
        times: dict[tuple[Block, ...], dict[str, int]] = defaultdict(dict)
        for record in self.records:
            one = len(record.blocks) == 1 and record.blocks[0].key in moved
            if record.clock == clock and record.campaign in (old, new) and not one:
                times[record.blocks][record.campaign] = record.statistics.value
        ratios = [both[new] / both[old] for both in times.values() if len(both) == 2]
        if len(ratios) < FEWEST_IN_COMMON:
            raise TableError(
                f"campaigns {old} and {new} of {self.device} have only {len(ratios)} workloads in "
                "common; measure all resolutions in one go, with --fresh"
            )
        return median(ratios)


@lru_cache(maxsize=10_000)
def _network(space: str, arch: Arch) -> tuple[Block, ...] | None:
    """The arch's blocks; None where the space is a user's own, which no file may have imported.

    Raises:
        TableError: it is no arch of the space.
    """
    if ":" in space:
        return None
    try:
        family = find_space(space)
    except UsageError:
        return None
    try:
        return family.blocks(arch)
    except UsageError as error:
        raise TableError(str(error)) from error


def _order(record: Record) -> tuple[Any, ...]:
    return record.campaign, record.role, len(record.blocks), record.blocks, record.clock


def evidence(device: str, folder: Path, here: bool = False) -> str:
    """What stands behind a device's numbers: its newest table in `folder`; `here`: it is this
    computer's processor."""
    tables = [Table.load(path) for path in sorted(folder.glob(f"{device}.*.jsonl"))]
    sources = [table.source for table in tables if table.source is not None]
    if sources:
        return f"imported from {sources[0]}"
    simulated = [table.simulated for table in tables if table.simulated]
    if simulated:
        return simulated[-1]
    dates = [facts["started_at"][:10] for table in tables for facts in table.campaigns.values()]
    if not dates:
        return "not measured here yet" if here else "never run on hardware"
    return f"measured on hardware, {max(dates)}, {len(tables)} table(s)"
