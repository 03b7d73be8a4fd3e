from pathlib import Path

from harness.effort import QUICK
from harness.measuring.plan import Entry, campaign_id


def test_a_campaign_of_files_goes_on_only_with_files_of_the_same_content(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    names = []
    for content in (b"weights", b"weights", b"others"):
        path.write_bytes(content)
        names.append(campaign_id({}, {}, [Entry("network", path, ())], QUICK.verification))
    assert names[0] == names[1] != names[2]
