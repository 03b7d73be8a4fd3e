"""The table that the OFA authors published (Note10, width 1.2), read and written again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.spaces.convolution import Convolution
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.tables.ofa import Imported, read_published, rows_of, write_published
from harness.tables.table import Table

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
NOTE10 = DATA / "ofa" / "note10"
pytestmark = pytest.mark.skipif(
    not NOTE10.exists(), reason=f"no published tables in {NOTE10} (set HARNESS_DATA)"
)


def read(path: Path) -> Imported:
    return read_published([path], OFA_MBV3_W1_2, "note10", "han-cai/files")


def table_sum(table: Table, blocks: tuple[Convolution, ...]) -> float:
    """The same of our table, ms."""
    times = {record.blocks[0]: record.statistics.value for record in table.records}
    return sum(times[block] for block in blocks) / 1e6


def test_reference_table_is_read_whole_and_written_with_the_same_keys(tmp_path: Path) -> None:
    paths = sorted(NOTE10.glob("*.yaml"))
    imported = read(NOTE10)
    assert not imported.foreign
    assert not imported.missing
    written = write_published(rows_of(imported.table, "wall"), OFA_MBV3_W1_2, tmp_path)
    assert [path.name for path in written] == [path.name for path in paths]
    for theirs, ours in zip(paths, written, strict=True):
        old, new = (yaml.safe_load(path.read_text()) for path in (theirs, ours))
        assert list(old) == list(new)
        for key, row in old.items():
            assert row["mean"] == pytest.approx(new[key]["mean"], rel=0.02)  # some are shared
    again = read(tmp_path)
    first, second = (rows_of(each.table, "wall") for each in (imported, again))
    for block, row in first.items():
        assert second[block].mean_ms == pytest.approx(row.mean_ms, abs=2e-6)
        assert second[block].count == row.count


def test_reference_networks_get_the_latencies_of_the_published_table() -> None:
    # 29.97, 39.91 and 49.78 ms: what the released code adds up for the published Note10 networks
    # of width 1.2 and a resolution that has a table (shared/notes/search.md).
    expected = {"30ms": 29.97, "41ms": 39.91, "50ms": 49.78}
    published = json.loads((DATA / "ofa" / "specialized.json").read_text())
    networks = {
        name: network
        for network in published
        for name in expected
        if network["device"] == "note10" and f"-{name}_" in network["name"]
    }
    assert networks.keys() == expected.keys()
    whole = read(NOTE10).table
    for name, network in networks.items():
        blocks = blocks_of(network)
        alone = read(NOTE10 / f"{network['image_size']}.yaml").table
        assert table_sum(alone, blocks) == pytest.approx(expected[name], abs=0.005)
        # Other resolutions' files have some of the blocks, too, with numbers of their own.
        assert table_sum(whole, blocks) == pytest.approx(expected[name], rel=0.002)


def blocks_of(network: dict[str, Any]) -> tuple[Convolution, ...]:
    """A published network's blocks, from its own description."""
    stem = OFA_MBV3_W1_2.block(0, (network["image_size"],))
    after = [OFA_MBV3_W1_2.block(place, (network["image_size"],)) for place in range(22, 26)]
    blocks, size = [stem], stem.out_height
    for part in network["blocks"]:
        mid = part["mid_channels"]
        fields = {name: part[name] for name in ("in_channels", "out_channels", "kernel", "stride")}
        se = (mid // 4 + 4) // 8 * 8 if part["se"] else 0
        block = Convolution(
            **fields,
            kind="mbconv",
            height=size,
            width=size,
            mid_channels=mid,
            act=part["act"],
            se_channels=se,
            residual=part["residual"],
        )
        blocks.append(block)
        size = block.out_height
    return (*blocks, *after)
