"""A space of translators from its blocks to a front, with accuracies of the user's own."""

import json
from pathlib import Path

import pytest

from harness.spaces.transformer import DecoderLayer
from harness.tables.table import Table
from tests.command_line import harness

SPACE = """
from harness.spaces.translation import TranslationSpace

SMALL = TranslationSpace(
    name="small-translators", title="Small translators", resolutions=(6,), classes=300,
    embeds=(32,), ffns=(64,), heads=(2,), encoder_layers=2, depths=(1, 2), cross_layers=(1, 2),
    inner=32,
)

def bleu(arch):
    return 20 + 3 * arch.depths[0] + sum(arch.part("cross_layers"))
"""
MINE = "--space mine:SMALL"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a user has measured."""
    folder = tmp_path_factory.mktemp("translators")
    (folder / "mine.py").write_text(SPACE)
    words = f"measure --quick --wait {MINE} --device cpu-onnxruntime"
    ended = harness(folder, *words.split())
    assert ended.returncode == 0, ended.stderr
    return folder


def test_blocks_of_decoders_stand_in_the_table_with_all_their_steps(folder: Path) -> None:
    table = Table.load(folder / "tables" / "cpu-onnxruntime.small-translators.jsonl")
    decoders = {
        record.blocks[0]: record.statistics.value
        for record in table.records
        if record.role == "block" and isinstance(record.blocks[0], DecoderLayer)
    }
    assert {block.cross_layers for block in decoders} == {1, 2}
    assert {block.steps for block in decoders} == {6}
    assert min(decoders.values()) > 0


def test_their_front_is_searched_and_its_page_names_no_supernet(folder: Path) -> None:
    words = f"search --quick {MINE} --accuracy mine:bleu --device cpu-onnxruntime"
    assert harness(folder, *words.split()).returncode == 0
    report = folder / "reports" / "cpu-onnxruntime.small-translators"
    front = json.loads((report / "front.json").read_text())
    bleus = [point["accuracy"] for point in front["points"]]
    assert bleus == sorted(bleus)
    assert len(bleus) >= 2
    page = (report / "index.html").read_text()
    assert "harness verify" in page
    assert "harness extract" not in page
