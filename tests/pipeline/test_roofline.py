"""`harness roofline`: what is compared, and what is said where something lacks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.cli.terminal import Terminal
from harness.cli.words.roofline import describe_note, roofline_lines
from harness.deploy.front import Front
from harness.effort import QUICK
from harness.errors import TableError
from harness.networks.baselines import BASELINES
from harness.pipeline.job import Run
from harness.pipeline.roofline import roofline, save
from harness.predictors.roofline import FOUND, MNASNET, V2, FarSmaller, Roofline
from harness.spaces.arch import Arch
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample
from harness.tables.table import Table
from harness.workspace import Workspace
from tests.deploy.test_front import front, measured, point
from tests.tables.test_calibration import made_table, record

SMALL = Arch(12, (1,) * 3, (3, 0, 0) * 3, (3, 0, 0) * 3)
LARGE = Arch(20, (3,) * 3, (7,) * 9, (6,) * 9)
NAMES = ["mobilenet-v2-w0.35", "mobilenet-v2-w0.5", "mobilenet-v2-w0.75", V2, "mobilenet-v2-w1.4"]
ZU3EG = "simulated, fitted to"


def job(root: Path, space: str = "digits") -> Run:
    return Run(Workspace(root), find_space(space), Terminal(), QUICK)


def notes(shown: Roofline) -> list[str]:
    return [describe_note(note, shown.device, shown.space) for note in shown.notes]


def save_front(root: Path, device: str, *archs: Arch, space: str = "digits") -> Front:
    points = [replace(point(1.0 + n, 80), arch=arch) for n, arch in enumerate(archs)]
    kept = replace(front(*points), device=device, space=space)
    kept.save(Workspace(root).front(device, space))
    return kept


def save_baselines(root: Path, rng: np.random.Generator, names: list[str]) -> None:
    """Each takes a hundredth of a ns a MAC."""
    records = tuple(
        record("network", each.blocks, 0.01 * sum(block.macs for block in each.blocks), 0, rng)
        for each in BASELINES
        if each.name in names
    )
    facts = {"c": {"rounds": 5, "started_at": "2026-01-01", "environment": {}}}
    identity = {"precision": "float32", "batch": 1, "clock": "wall"}
    path = Workspace(root).table("cpu", "baselines")
    Table("cpu", "baselines", identity, facts, records).save(path)


def save_blocks(root: Path, rng: np.random.Generator) -> Table:
    made = made_table(rng, 0)
    facts = {"c": made.campaigns["c"] | {"environment": {}}}
    identity = {"precision": "float32", "batch": 1, "clock": "wall"}
    table = replace(made, device="cpu", campaigns=facts, identity=identity)
    table.save(Workspace(root).table("cpu", "digits"))
    return table


def test_a_batch_counts_in_operations_and_each_image_has_its_part_of_the_time(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    table = save_blocks(tmp_path, rng)
    told = table.identity | {"batch": 16}
    replace(table, identity=told).save(Workspace(tmp_path).table("cpu", "digits"))
    save_front(tmp_path, "cpu", SMALL)
    shown = roofline(job(tmp_path), "cpu")
    (work,) = shown.networks
    assert work.macs == 16 * sum(block.macs for block in find_space("digits").blocks(SMALL))
    *_, heading, _, line = roofline_lines(shown)
    assert heading == "MACs, ms and MB are of a run of a batch of 16 images"
    assert line.endswith(f"({work.latency_ms / 16:.4g} ms an image)")


def test_a_simulated_device_needs_no_tables(tmp_path: Path) -> None:
    save_front(tmp_path, "zu3eg", SMALL, LARGE)
    shown = roofline(job(tmp_path), "zu3eg")
    assert [work.name for work in shown.networks] == [*NAMES, MNASNET, "front:0", "front:1"]
    assert shown.evidence.startswith(ZU3EG)
    assert len(shown.roofs) == 2
    space = find_space("digits")
    alone = {b.key for arch in (SMALL, LARGE) for b in space.blocks(arch) if b.macs}
    assert {work.name for work in shown.blocks} == alone
    lines = list(roofline_lines(shown))
    assert any("460.8 GOPS" in line for line in lines)
    found, baseline = shown.group(FOUND), shown.group(MNASNET)[0]
    ratio = sum(work.gops for work in found) / 2 / baseline.gops
    assert f"{ratio:.2f}x" in lines[-1].split("OPs/byte, ")[1]
    assert [path.name for path in save(job(tmp_path), shown)] == [
        "roofline.png",
        "roofline.svg",
        "roofline.pdf",
        "roofline.csv",
    ]


def test_a_front_that_another_model_found_is_told(tmp_path: Path) -> None:
    old = save_front(tmp_path, "zu3eg", SMALL)
    assert any("another model" in note for note in notes(roofline(job(tmp_path), "zu3eg")))
    stands = roofline(job(tmp_path), "zu3eg").evidence
    facts = {"started_at": "2026-01-01", "rounds": 1, "environment": {}}
    same = replace(old, table={"campaign": facts | {"simulated": stands}})
    same.save(Workspace(tmp_path).front("zu3eg", "digits"))
    assert roofline(job(tmp_path), "zu3eg").notes == (FarSmaller(),)


def test_without_a_front_the_baselines_are_alone(tmp_path: Path) -> None:
    shown = roofline(job(tmp_path), "zu9eg")
    assert [work.name for work in shown.networks] == [*NAMES, MNASNET]
    assert shown.blocks == ()
    assert "harness search --front --device zu9eg --space digits" in notes(shown)[1]
    assert not any("median" in line for line in roofline_lines(shown))
    assert "uncalibrated" in next(roofline_lines(shown))


def test_what_does_not_fit_the_dpu_is_left_out_with_why(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "small.toml").write_text(
        'title = "x"\nextends = "zu3eg"\n[dpu]\narchitecture = "B512"\n'
    )
    space = find_space("ofa-resnet50")
    arch = decode(space, sample(space, 1, np.random.default_rng(1))[0])
    save_front(tmp_path, "small", arch, space=space.name)
    shown = roofline(job(tmp_path, space.name), "small")
    assert shown.group(FOUND) == ()
    assert 0 < len(shown.blocks) < len(set(space.blocks(arch)))
    assert any(note.startswith("left out: front:0: out of BRAM") for note in notes(shown))
    assert any(note.startswith("left out: bottleneck-") for note in notes(shown))


def test_a_measured_device_is_taken_at_its_tables_word(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    table = save_blocks(tmp_path, rng)
    save_baselines(tmp_path, rng, [*NAMES, MNASNET])
    searched = save_front(tmp_path, "cpu", SMALL, LARGE)
    verified = replace(measured(searched.points[0], 5.5, 79), latency_ms=1.0)
    replace(searched, points=(verified, searched.points[1])).save(
        Workspace(tmp_path).front("cpu", "digits")
    )
    shown = roofline(job(tmp_path), "cpu")
    assert [work.latency_ms for work in shown.group(FOUND)] == [5.5, 2.0]
    assert [work.gops for work in shown.group(MNASNET)] == [pytest.approx(200, rel=1e-5)]
    values = table.block_values("wall")
    by_key = {block.key: ns / 1e6 for block, ns in values.items()}
    assert all(work.latency_ms == by_key[work.name] for work in shown.blocks)
    assert shown.roofs == ()
    lines = "\n".join(roofline_lines(shown))
    for told in ("nobody measured how much", "at least input", "1 measured, 1 predicted", "2026-"):
        assert told in lines


def test_a_measured_device_without_baselines_is_told_the_command(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    save_blocks(tmp_path, rng)
    save_front(tmp_path, "cpu", SMALL)
    shown = roofline(job(tmp_path), "cpu")
    assert [work.name for work in shown.networks] == ["front:0"]
    assert any("`harness measure --baselines --device cpu`" in note for note in notes(shown))


def test_baselines_that_were_timed_with_other_settings_stand_beside_nothing(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    table = save_blocks(tmp_path, rng)
    save_baselines(tmp_path, rng, [MNASNET])
    save_front(tmp_path, "cpu", SMALL)
    assert roofline(job(tmp_path), "cpu").group(MNASNET)
    at_64 = replace(table, identity=table.identity | {"batch": 64})
    at_64.save(Workspace(tmp_path).table("cpu", "digits"))
    shown = roofline(job(tmp_path), "cpu")
    assert not shown.group(MNASNET)
    assert any("timed with batch = 1, digits with 64" in note for note in notes(shown))


def test_baselines_and_blocks_that_nobody_timed_are_left_out(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    table = save_blocks(tmp_path, rng)
    lacking = find_space("digits").blocks(SMALL)[0]
    kept = tuple(each for each in table.records if each.blocks != (lacking,))
    replace(table, records=kept).save(Workspace(tmp_path).table("cpu", "digits"))
    save_baselines(tmp_path, rng, [MNASNET])
    save_front(tmp_path, "cpu", SMALL)
    shown = roofline(job(tmp_path), "cpu")
    assert [work.name for work in shown.networks] == [MNASNET, "front:0"]
    assert lacking.key not in {work.name for work in shown.blocks}
    told = "\n".join(notes(shown))
    assert f"left out: {NAMES[0]} and 4 others: nobody timed it here" in told
    assert f"left out: {lacking.key}: nobody timed it here" in told


def test_a_device_of_which_nothing_was_timed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="harness measure --baselines --device cpu"):
        roofline(job(tmp_path), "cpu")
