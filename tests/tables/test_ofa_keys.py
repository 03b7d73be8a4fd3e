"""Rows as the released OFA code asks for them; its queries are written down again here."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import TableError
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.mobile import MobileSpace, Stage
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0, OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.ofa import Imported, read_published, write_published
from harness.tables.ofa_keys import block_key, layout
from harness.tables.ofa_reading import Row
from harness.tables.table import Table

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
PIXEL1 = DATA / "ofa" / "pixel1_proxyless_224.yaml"
SMALL = replace(OFA_MBV3_W1_2, resolutions=(160, 176))
PROXYLESS = MobileSpace(
    name="proxyless",
    title="ProxylessNAS widths",
    resolutions=(192, 224),
    image_channels=3,
    classes=1000,
    stem=Stage(32, 2, "relu6", se=False),
    first_block=Stage(16, 1, "relu6", se=False),
    stages=tuple(
        Stage(width, stride, "relu6", se=False)
        for width, stride in ((24, 2), (40, 2), (80, 2), (96, 1), (192, 2), (320, 1))
    ),
    depths=(1, 2, 3, 4),
    kernels=(3, 5, 7),
    expands=(3, 6),
    head_width=1280,
    mix_width=0,
    head_act="relu6",
    divisor=8,
)


def read(path: Path, space: Space) -> Imported:
    return read_published([path], space, "phone", "somebody's table")


def some_rows(space: Space, seed: int = 0) -> dict[Block, Row]:
    rng = np.random.default_rng(seed)
    return {
        block: Row(float(rng.uniform(0.1, 5)), float(rng.uniform(0, 0.1)), int(rng.integers(9, 99)))
        for block in space.distinct_blocks()
    }


def reference_sum(rows: dict[str, Any], arch: Arch) -> float:
    """What the released code's `predict_network_latency` adds up for OFA-MBv3 of width 1.2, ms."""
    size = (arch.resolution + 1) // 2
    first = f"expanded_conv-input:{size}x{size}x24-output:{size}x{size}x24"
    keys = [
        f"Conv-input:{arch.resolution}x{arch.resolution}x3-output:{size}x{size}x24",
        f"{first}-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0",
    ]
    widths, strides, squeezes, swishes = (
        (32, 48, 96, 136, 192),
        (2, 2, 2, 1, 2),
        (0, 1, 0, 1, 1),
        (0, 0, 1, 1, 1),
    )
    stages = zip(widths, strides, squeezes, swishes, strict=True)
    channels = 24
    for stage, (width, stride, se, hs) in enumerate(stages):
        for position in range(arch.depths[stage]):
            slot, step = 4 * stage + position, stride if position == 0 else 1
            out = int((size - 1) / step + 1)
            keys.append(
                f"expanded_conv-input:{size}x{size}x{channels}-output:{out}x{out}x{width}"
                f"-expand:{channels * arch.expands[slot]}-kernel:{arch.kernels[slot]}"
                f"-stride:{step}-idskip:{int(position > 0)}-se:{se}-hs:{hs}"
            )
            size, channels = out, width
    keys += [
        f"Conv_1-input:{size}x{size}x192-output:{size}x{size}x1152",
        f"AvgPool2D-input:{size}x{size}x1152-output:1x1x1152",
        "Conv_2-input:1x1x1152-output:1x1x1536",
        "Logits-input:1x1x1536-output:1000",
    ]
    return sum(float(rows[key]["mean"]) for key in keys)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_released_code_finds_and_adds_up_what_we_write(tmp_path: Path, seed: int) -> None:
    rows = some_rows(SMALL, seed)
    write_published(rows, SMALL, tmp_path)
    (genome,) = sample(SMALL, 1, np.random.default_rng(seed))
    arch = decode(SMALL, genome)
    published = yaml.safe_load((tmp_path / f"{arch.resolution}.yaml").read_text())
    total = sum(rows[block].mean_ms for block in SMALL.blocks(arch))
    assert reference_sum(published, arch) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("space", [OFA_MBV3_W1_0, OFA_MBV3_W1_2, DIGITS, PROXYLESS])
def test_a_key_means_one_workload_of_its_space(space: Space) -> None:
    meanings: dict[str, tuple[Block, ...]] = {}
    for resolution in space.resolutions:
        for key, blocks in layout(space, resolution).items():
            assert meanings.setdefault(key, blocks) == blocks
    assert len(set(meanings.values())) == len(meanings)
    assert {b for blocks in meanings.values() for b in blocks} == set(space.distinct_blocks())


def test_a_block_without_a_key_is_named() -> None:
    block = replace(DIGITS.distinct_blocks()[0], kind="bottleneck")
    with pytest.raises(TableError, match="bottleneck-"):
        block_key(block)


def test_proxyless_rows_hold_pooling_and_classifier_together(tmp_path: Path) -> None:
    rows = some_rows(PROXYLESS)
    write_published(rows, PROXYLESS, tmp_path)
    published = yaml.safe_load((tmp_path / "224.yaml").read_text())
    assert "Logits-input:7x7x1280-output:1000" in published
    assert not any(key.startswith("AvgPool") or "-hs:" in key for key in published)
    back = read(tmp_path, PROXYLESS)
    assert not back.missing
    back.table.save(tmp_path / "t.jsonl")
    loaded = Table.load(tmp_path / "t.jsonl")
    for genome in sample(PROXYLESS, 20, np.random.default_rng(0)):
        blocks = PROXYLESS.blocks(decode(PROXYLESS, genome))
        total = sum(rows[block].mean_ms for block in blocks)
        times = loaded.block_values("wall")
        assert sum(times[block] for block in blocks) == pytest.approx(1e6 * total, abs=100)


@pytest.mark.skipif(not PIXEL1.exists(), reason=f"no {PIXEL1} (set HARNESS_DATA)")
def test_reference_proxyless_table_fits_proxyless_widths_and_no_others() -> None:
    imported = read(PIXEL1, PROXYLESS)
    # Its first block comes with kernels 5 and 7, too; its last stage has but one layer.
    assert all("x112x32-output" in key or "112x112x32-" in key for key in imported.foreign)
    assert len(imported.foreign) == 2
    assert all(b.input_shape[0] == b.output_shape[0] == 320 for b in imported.missing)
    stem = next(r for r in imported.table.records if r.blocks[0].kind == "conv")
    assert stem.statistics.runs == 982
    with pytest.raises(TableError, match="another width"):
        read(PIXEL1, OFA_MBV3_W1_2)
