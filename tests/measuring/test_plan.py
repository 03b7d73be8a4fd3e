from collections import Counter
from dataclasses import replace
from pathlib import Path

from harness.effort import QUICK
from harness.measuring.plan import Entry, campaign_id, table_entries
from tests.real.small_space import SMALL


def test_a_campaign_of_files_goes_on_only_with_files_of_the_same_content(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    names = []
    for content in (b"weights", b"weights", b"others"):
        path.write_bytes(content)
        names.append(campaign_id({}, {}, [Entry("network", path, ())], QUICK.verification))
    assert names[0] == names[1] != names[2]


def test_two_devices_share_the_work_on_a_tiny_space() -> None:
    four = replace(SMALL, stages=SMALL.stages[:2])
    shares = [table_entries(four, 20, share=(number, 2)) for number in (0, 1)]
    for share in shares:
        assert set(Counter((entry.role, entry.blocks) for entry in share).values()) == {1}
    common = set.intersection(*({entry.blocks for entry in share} for share in shares))
    assert len(common) >= 5
