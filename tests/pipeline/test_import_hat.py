"""From HAT's published latencies to a front, as a user asks for it."""

from pathlib import Path

import pytest

import harness
from harness.predictors.choice import latency_predictor
from harness.spaces.arch import Arch
from harness.spaces.genome import encode
from harness.spaces.translation import HAT_WMT14_ENDE
from harness.tables.table import Table, evidence
from tests.command_line import harness as command
from tests.hat_rows import archs, row, write

IMPORT = "tables import pi.csv --device pi-published --source theirs"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hat")
    rows = [row(arch) for arch in archs(60)]
    rows[7][10] *= 3  # an encoder's time
    write(folder / "pi.csv", rows)
    words = f"{IMPORT} --format hat --space hat-wmt14-ende"
    ended = command(folder, *words.split())
    assert ended.returncode == 0, ended.stderr
    told = " ".join(ended.stdout.split())
    assert "59 whole networks of hat-wmt14-ende; 1 rows set aside" in told
    assert "pi.csv:9" in told
    return folder


def table_of(root: Path) -> Table:
    return Table.load(root / "tables/pi-published.hat-wmt14-ende.jsonl")


def bleu(arch: Arch) -> float:
    return 20 + sum(arch.part("decoder_ffn")) / 4000 + sum(arch.part("encoder_ffn")) / 8000


def test_a_search_on_the_imported_device_finds_faster_and_better_translators(root: Path) -> None:
    found = harness.search(
        "hat-wmt14-ende", latency=table_of(root), accuracy=bleu, evaluations=3000, root=root
    )
    times = [each.latency_ms for each in found]
    assert times == sorted(times)
    assert [each.accuracy for each in found] == sorted(each.accuracy for each in found)
    assert times[-1] > 2 * times[0]
    assert all(each.latency_ms_interval is not None for each in found)
    predictor, drawn = latency_predictor(table_of(root), HAT_WMT14_ENDE), archs(300, seed=2)
    random_ms = predictor.predict(encode(HAT_WMT14_ENDE, drawn))
    for arch, latency_ms in zip(drawn, random_ms, strict=True):
        better = [each for each in found if each.accuracy >= bleu(arch)]
        assert not better or better[0].latency_ms <= latency_ms


def test_what_the_table_is_and_rests_on_is_told(root: Path) -> None:
    assert evidence("pi-published", root / "tables") == "imported from theirs"
    shown = command(root, "tables", "show", "pi-published").stdout
    assert "whole networks, imported from theirs" in " ".join(shown.split())
    assert "fitted to 59 whole networks" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (f"{IMPORT} --format hut", 2, "did you mean 'hat'?"),
        (f"{IMPORT} --format hat", 2, "hat-wmt14-ende, not ofa-mbv3-w1.2"),
        (f"{IMPORT} --format hat --unit s --space hat-wmt14-ende", 2, "--format hat are ms"),
        (f"{IMPORT} --format ai-hub --unit ms", 2, "--format ai-hub are us"),
        ("measure --device zu3eg --space hat-wmt14-ende", 5, "no operator: decoder-"),
        ("measure --device zu3eg --space autoformer-tiny", 2, "not built here yet"),
        ("train --space hat-wmt14-ende", 2, "no data to train hat-wmt14-ende on"),
    ],
)
def test_what_cannot_be_done_is_one_line(root: Path, words: str, code: int, said: str) -> None:
    ended = command(root, *words.split())
    assert ended.returncode == code
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 2
