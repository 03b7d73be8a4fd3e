"""Our blocks against the table that the OFA authors published (Note10, width 1.2)."""

import os
import re
from pathlib import Path

import pytest

from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLES = sorted(DATA.glob("ofa/note10/*.yaml"))
MBCONV = re.compile(
    r"expanded_conv-input:(\d+)x(\d+)x(\d+)-output:(\d+)x(\d+)x(\d+)-expand:(\d+)-kernel:(\d+)"
    r"-stride:(\d+)-idskip:([01])-se:([01])-hs:([01]):"
)


@pytest.mark.skipif(not TABLES, reason=f"no published tables below {DATA} (set HARNESS_DATA)")
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_reference_table_has_every_inverted_bottleneck_of_our_space(path: Path) -> None:
    resolution = int(path.stem)
    published = {
        tuple(map(int, match.groups()))
        for line in path.read_text().splitlines()
        if (match := MBCONV.fullmatch(line))
    }
    ours = {
        (
            *(block.height, block.width, block.in_channels),
            *(block.out_height, block.out_width, block.out_channels),
            *(block.mid_channels, block.kernel, block.stride),
            *(int(block.residual), int(block.se_channels > 0), int(block.act == "h_swish")),
        )
        for block in OFA_MBV3_W1_2.distinct_blocks((resolution,))
        if block.kind == "mbconv"
    }
    assert len(ours) > 80
    assert not ours - published
