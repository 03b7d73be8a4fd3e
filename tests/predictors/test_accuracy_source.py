import csv
from pathlib import Path

import numpy as np
import pytest

from harness.errors import CheckpointError, FileFormatError, PredictorError, UsageError
from harness.predictors.accuracy import held_out
from harness.predictors.accuracy_source import OwnFunction, accuracy_source, read_csv
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Objectives
from harness.spaces.arch import Arch
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, encode, sample


def accuracy_of(arch: Arch) -> float:
    """A made-up truth."""
    return 60 + arch.resolution / 2 + 2 * sum(arch.depths) + sum(arch.expands) / 5


def write(path: Path, count: int, **changed: str) -> Path:
    genomes = sample(DIGITS, count, np.random.default_rng(3))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["r", "d", "ks", "e", "accuracy"])
        writer.writeheader()
        for number, genome in enumerate(genomes):
            arch = decode(DIGITS, genome)
            row = {name: " ".join(map(str, arch.part(name))) for name in ("r", "d", "ks", "e")}
            row["accuracy"] = f"{accuracy_of(arch):.3f}"
            writer.writerow(row | changed if number == 4 else row)
    return path


def test_evaluated_networks_in_a_csv_become_a_predictor_that_those_held_out_judge(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "evaluated.csv", 300)
    genomes, accuracies = read_csv(path, DIGITS)
    assert len(genomes) == 300
    source = accuracy_source(str(path), DIGITS)
    judging = held_out(genomes, 0)
    predicted = source.accuracy(genomes[judging])
    shares = (predicted - accuracies[judging]) / (100 - predicted)
    assert source.judges is not None
    assert source.judges.shares == pytest.approx(shares.tolist())
    assert len(shares) == 60
    ends = 80 - 20 * shares.max(), 80 - 20 * shares.min()  # the extremes of so few
    assert source.judges.interval(80.0) == pytest.approx(ends)
    assert "held-out" in source.describe()


def test_its_intervals_hold_for_other_networks_and_tell_more_than_all_accuracies_do(
    tmp_path: Path,
) -> None:
    source = accuracy_source(str(write(tmp_path / "evaluated.csv", 300)), DIGITS)
    others = sample(DIGITS, 400, np.random.default_rng(8))
    truth = np.array([accuracy_of(decode(DIGITS, genome)) for genome in others])
    assert source.judges is not None
    ends = [source.judges.interval(each) or (0, 100) for each in source.accuracy(others).tolist()]
    inside = [low <= each <= high for (low, high), each in zip(ends, truth, strict=True)]
    # Between the extremes of 60 lie Beta(59, 2) of all others: more than 88 % in 99.5 of 100 cases.
    assert np.mean(inside) > 0.88
    widths = [high - low for low, high in ends]
    assert np.median(widths) < np.ptp(np.quantile(truth, [0.025, 0.975]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"accuracy": "many"}, "could not convert"),
        ({"accuracy": "101"}, "101.0 percent"),
        ({"accuracy": "nan"}, "nan percent"),
        ({"d": "1 2 9"}, "depths 9"),
        ({"ks": "x"}, "could not convert"),
        ({"r": ""}, "not an arch"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    path = write(tmp_path / "evaluated.csv", 60, **changed)
    with pytest.raises(FileFormatError, match=r"evaluated\.csv:6: ") as raised:
        read_csv(path, DIGITS)
    assert said in str(raised.value)


def test_too_few_rows_and_no_file_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="at least 50"):
        read_csv(write(tmp_path / "few.csv", 10), DIGITS)
    with pytest.raises(FileFormatError, match=r"none\.csv"):
        read_csv(tmp_path / "none.csv", DIGITS)
    (tmp_path / "short.csv").write_text("r,d,ks,e,accuracy\n16\n")
    with pytest.raises(FileFormatError, match=r"short\.csv:2: "):
        read_csv(tmp_path / "short.csv", DIGITS)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match=r"other\.csv:2: "):
        read_csv(tmp_path / "other.csv", DIGITS)


@pytest.mark.parametrize(
    ("accuracy", "left_out"), [("", "0"), ("9", "0"), ("9", "7")], ids=["copy", "other", "same"]
)
def test_a_network_that_is_there_twice_is_named_by_both_lines(
    tmp_path: Path, accuracy: str, left_out: str
) -> None:
    """One would be fitted to, and the other judge. Layers that are left out have no kernel."""
    path = write(tmp_path / "evaluated.csv", 60)
    lines = path.read_text().splitlines()
    r, d, ks, e, was = lines[4].split(",")
    kernels = ks.split()
    assert "0" in kernels
    kernels[kernels.index("0")] = left_out
    lines.append(",".join((r, d, " ".join(kernels), e, accuracy or was)))
    path.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match=r"evaluated\.csv:62: the network of line 5 again"):
        read_csv(path, DIGITS)


def test_a_column_that_is_there_twice_is_refused_and_a_mark_in_front_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "evaluated.csv", 60)
    content = path.read_text()
    path.write_text("\ufeff" + content)  # as Excel writes it
    assert len(read_csv(path, DIGITS)[0]) == 60
    path.write_text(content.replace("accuracy", "accuracy,accuracy", 1))
    with pytest.raises(FileFormatError, match=r"evaluated\.csv: two columns are called 'accuracy'"):
        read_csv(path, DIGITS)


def test_a_csv_tells_nothing_at_resolutions_that_it_has_no_network_of(tmp_path: Path) -> None:
    path = write(tmp_path / "evaluated.csv", 300)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("16,")))
    with pytest.raises(FileFormatError, match=r"nothing at 16 pixels: .* --resolutions 12,20$"):
        read_csv(path, DIGITS)
    assert len(read_csv(path, DIGITS.at([12, 20]))[0]) > 100


def test_a_users_own_function_is_asked_for_each_network() -> None:
    source = accuracy_source(f"{__name__}:accuracy_of", DIGITS)
    genomes = sample(DIGITS, 20, np.random.default_rng(1))
    expected = [accuracy_of(decode(DIGITS, genome)) for genome in genomes]
    assert source.accuracy(genomes).tolist() == expected
    assert source.judges is None
    macs = CostTable.of(DIGITS, lambda block: block.macs)
    cost = Cost("MACs", "", macs.total, *macs.cheapest())
    found = search_front(Objectives(DIGITS, source.accuracy, cost), 2_000)
    assert found.accuracy.max() > 90
    assert encode(DIGITS, [decode(DIGITS, found.genomes[0])]).shape == (1, 22)


def test_a_function_that_fails_is_named() -> None:
    def fails(_arch: Arch) -> float:
        raise RuntimeError("no such network")

    source = OwnFunction(DIGITS, "mine:fails", fails)
    with pytest.raises(PredictorError, match=r"mine:fails failed: .*no such network"):
        source.accuracy(sample(DIGITS, 2, np.random.default_rng(1)))


@pytest.mark.parametrize("text", ["accuracies", "no_such_module:f", f"{__name__}:nothing"])
def test_what_is_no_source_is_one_clear_error(text: str) -> None:
    with pytest.raises((PredictorError, UsageError)):
        accuracy_source(text, DIGITS)


def test_their_predictor_is_for_their_space(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="`harness fetch acc-predictor` brings"):
        accuracy_source(str(tmp_path / "acc_predictor.pth"), DIGITS)
    (tmp_path / "acc_predictor.pth").touch()
    with pytest.raises(CheckpointError, match="not for digits"):
        accuracy_source(str(tmp_path / "acc_predictor.pth"), DIGITS)
