"""`finetune` on digits and on folders of images, with supernets of ours and of others."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.cli.terminal import Terminal
from harness.cli.words.network import describe_finetuned
from harness.errors import CheckpointError, UsageError
from harness.networks.file import NetworkFile, Preprocessing
from harness.networks.published import read_state
from harness.pipeline.finetune import FineTuned, FineTuning, finetune
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.supernet.checkpoint import Checkpoint
from harness.training.data import MEAN, STD
from harness.training.folder import ImageFolder
from tests.conftest import lively_supernet
from tests.training.test_finetune import COLOURS, SPACE, make, network

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
RELEASED = sorted(DATA.glob("ofa/reference/ofa_mbv3*.pth"))
SMALLEST = Arch(12, (1, 1, 1), (3, 0, 0) * 3, (3, 0, 0) * 3)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("images") / "colours")


@pytest.fixture
def digits(tmp_path: Path) -> FineTuning:
    """The smallest network of an untrained digits supernet, for an epoch and a half."""
    path = tmp_path / "digits.pt"
    NetworkFile(
        space="digits",
        arch=SMALLEST,
        blocks=DIGITS.blocks(SMALLEST),
        weights=dict(lively_supernet().extract(SMALLEST).state_dict()),
        preprocessing=Preprocessing(12, MEAN, STD),
        classes=tuple(str(digit) for digit in range(10)),
        origin={"supernet": "untrained", "data": {}},
    ).save(path)
    return FineTuning(path, tmp_path / "tuned.pt", epochs=1.5, learning_rate=0.1, batch_size=32)


def supernet(folder: Path, classes: int = 10) -> Path:
    """A checkpoint of ours."""
    path, space = folder / "supernet.pt", replace(DIGITS, classes=classes)
    weights = dict(lively_supernet(space).state_dict())
    Checkpoint("digits", {"classes": classes}, 1, weights, {}, None).save(path)
    return path


def test_a_grey_network_of_ten_classes_is_tuned_on_digits_and_gets_better(
    digits: FineTuning,
) -> None:
    made = finetune(Terminal(), digits)
    judged = NetworkFile.load(digits.output).origin["held_out"]
    before, after = judged["accuracy_before"], judged["accuracy_after"]
    assert after > before + 10
    assert made == FineTuned(digits.output, 700, before, after)
    assert describe_finetuned(made) == (
        f"network file: {digits.output}; accuracy on 700 held-out images {after:.1f} %, "
        f"before {before:.1f} %"
    )
    assert finetune(Terminal(), digits) == made


def test_a_folder_of_other_classes_makes_a_new_head_which_is_said_with_damaged_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path / "images", 20)
    damaged = Path(ImageFolder.open(folder).train.paths[0])
    damaged.write_text("no image")
    network(("cat", "cow", "dog", "hen")).save(tmp_path / "animals.pt")
    asked = FineTuning(tmp_path / "animals.pt", tmp_path / "tuned.pt", folder, epochs=1)
    made = finetune(Terminal(), replace(asked, batch_size=8))
    said = capsys.readouterr().out
    assert f"a new head: {asked.network} has 4 classes, the data 3 others" in said
    assert f"damaged images left out: 1: {damaged}" in said
    assert made is not None
    told = f"network file: {asked.output}; accuracy on 12 held-out images"
    assert describe_finetuned(made).startswith(told)
    tuned = NetworkFile.load(asked.output)
    assert tuned.classes == COLOURS
    assert tuned.module()(torch.zeros(1, 3, 16, 16)).shape == (1, 3)


def test_a_grey_network_is_tuned_on_coloured_images_and_says_that_they_lose_their_colours(
    digits: FineTuning, colours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune(Terminal(), replace(digits, data=colours, epochs=0.1))
    said = " ".join(capsys.readouterr().out.split())
    assert f"those of {colours} have colours, and lose them" in said
    tuned = NetworkFile.load(digits.output)
    assert tuned.classes == COLOURS
    assert tuned.module()(torch.zeros(1, 1, 12, 12)).shape == (1, 3)


def test_images_that_were_held_out_before_judge_again(tmp_path: Path, colours: Path) -> None:
    first = FineTuning(tmp_path / "network.pt", tmp_path / "tuned.pt", colours, epochs=0.1)
    origin = {"data": {"seed": 5}}
    replace(network(), origin=origin).save(first.network)
    finetune(Terminal(), first)
    again = replace(first, network=first.output, output=tmp_path / "again.pt", seed=3)
    finetune(Terminal(), again)
    for path in (first.output, again.output):
        assert NetworkFile.load(path).origin["data"]["seed"] == 5


def test_a_supernet_of_ours_teaches_and_is_named_in_the_origin(digits: FineTuning) -> None:
    path = supernet(digits.network.parent)
    taught = replace(digits, supernet=path, output=digits.output.with_name("taught.pt"))
    finetune(Terminal(), replace(digits, epochs=0.1))
    finetune(Terminal(), replace(taught, epochs=0.1))
    alone, other = NetworkFile.load(digits.output), NetworkFile.load(taught.output)
    assert alone.origin["finetuned"]["supernet"] is None
    assert other.origin["finetuned"]["supernet"]["name"] == "supernet.pt"
    assert not torch.equal(alone.weights["0.0.weight"], other.weights["0.0.weight"])


def test_a_supernet_of_a_users_own_space_teaches(tmp_path: Path, colours: Path) -> None:
    asked = FineTuning(tmp_path / "network.pt", tmp_path / "tuned.pt", colours, epochs=0.1)
    network().save(asked.network)
    weights = dict(lively_supernet(SPACE).state_dict())
    path = tmp_path / "supernet.pt"
    Checkpoint(SPACE.name, {}, 1, weights, {}, None).save(path)
    with pytest.raises(UsageError, match=r"no space called 'colours'.*--space says of which"):
        finetune(Terminal(), replace(asked, supernet=path))
    own = "tests.training.test_finetune:SPACE"
    line = finetune(Terminal(), replace(asked, supernet=path, space=own))
    assert line is not None
    assert asked.output.exists()


def test_a_supernet_that_cannot_teach_is_a_clear_error(
    digits: FineTuning, tmp_path: Path, colours: Path
) -> None:
    seven = replace(digits, supernet=supernet(tmp_path, 7))
    with pytest.raises(UsageError, match="has 7 classes, the data 10: it can only teach its own"):
        finetune(Terminal(), seven)
    network(("cat", "cow", "dog")).save(tmp_path / "animals.pt")
    animals = replace(seven, network=tmp_path / "animals.pt", data=colours)
    with pytest.raises(UsageError, match="cannot teach other classes than it has"):
        finetune(Terminal(), animals)
    network().save(tmp_path / "colours.pt")
    grey = replace(seven, network=tmp_path / "colours.pt", data=colours, space="digits")
    with pytest.raises(UsageError, match="takes images of 1 channels, the data have 3"):
        finetune(Terminal(), replace(grey, supernet=supernet(tmp_path, 3)))
    with pytest.raises(CheckpointError, match="not a supernet file"):
        finetune(Terminal(), replace(digits, supernet=digits.network))
    with pytest.raises(UsageError, match=r"there is no file .*nothing.pt"):
        finetune(Terminal(), replace(digits, supernet=tmp_path / "nothing.pt"))
    assert not digits.output.exists()


@pytest.mark.skipif(not RELEASED, reason=f"no reference below {DATA} (set HARNESS_DATA)")
def test_reference_supernets_are_read_and_teach_their_own_classes_only(
    tmp_path: Path, colours: Path
) -> None:
    classes = len(read_state(RELEASED[0])["classifier.linear.bias"])
    names = tuple(f"class {number:04}" for number in range(classes))
    images = make(tmp_path / "images", 2, names)
    asked = FineTuning(tmp_path / "network.pt", tmp_path / "tuned.pt", images, epochs=0.1)
    network(tuple(map(str, range(classes)))).save(asked.network)
    width = RELEASED[0].stem.rpartition("w")[2]
    released = replace(asked, supernet=RELEASED[0], space=f"ofa-mbv3-w{width}")
    finetune(Terminal(), released)
    tuned = NetworkFile.load(asked.output)
    assert tuned.classes == names
    assert tuned.origin["finetuned"]["supernet"]["name"] == RELEASED[0].name
    network().save(asked.network)
    released = replace(released, data=colours, output=tmp_path / "other.pt")
    with pytest.raises(UsageError, match=r"has \d+ classes, the data 3"):
        finetune(Terminal(), released)


def test_networks_and_data_that_do_not_fit_are_clear_errors(
    digits: FineTuning, tmp_path: Path
) -> None:
    network().save(tmp_path / "colours.pt")
    with pytest.raises(UsageError, match="--data says which images"):
        finetune(Terminal(), replace(digits, network=tmp_path / "colours.pt"))
    digits.network.write_bytes(digits.network.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r"cannot read .*digits.pt"):
        finetune(Terminal(), digits)
    with pytest.raises(CheckpointError, match=r"cannot read .*nothing.pt"):
        finetune(Terminal(), replace(digits, network=tmp_path / "nothing.pt"))


SCRIPT = """
import sys
from pathlib import Path
from harness.cli.terminal import Terminal
from harness.cli.words.network import describe_finetuned
from harness.pipeline.finetune import FineTuned, FineTuning, finetune
network, output = map(Path, sys.argv[1:])
asked = FineTuning(network, output, epochs=1.5, learning_rate=0.1, batch_size=32)
print(f"returned {finetune(Terminal(), asked)}")  # in one piece: both ranks write
"""


def test_two_ranks_write_one_file_and_only_the_first_speaks(
    digits: FineTuning, tmp_path: Path, repository: Path
) -> None:
    (tmp_path / "ranks.py").write_text(SCRIPT)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [str(tmp_path / "ranks.py"), str(digits.network), str(digits.output)]
    ended = subprocess.run(
        [sys.executable, *torchrun, *words],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("fine-tune") == 1
    assert ended.stdout.count("returned None") == 1
    assert ended.stdout.count("returned FineTuned(") == 1
    judged = NetworkFile.load(digits.output).origin["held_out"]
    assert judged["accuracy_after"] > judged["accuracy_before"] + 10
