"""Images in folders, made here; read by this process and by workers."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor

from harness.errors import FileFormatError, UsageError, WorkspaceError
from harness.training.draws import Draw, ImageData
from harness.training.folder import FEW_CALIBRATION, FEW_JUDGES, ImageFolder

COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}


def make(root: Path, images: int, classes: Iterable[str] = COLOURS, suffix: str = ".png") -> Path:
    """Folders of images that differ from each other and mostly show the colour of their class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for image in range(images):
            rng = np.random.default_rng([number, image])
            pixels = rng.integers(0, 40, (30, 40, 3)) + np.array(COLOURS[name])
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{image:03}{suffix}")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    make(root / "train", 20)
    make(root / "val", 3)
    return root


def some_draws(data: ImageFolder, count: int = 5) -> list[Draw]:
    rng = np.random.default_rng(7)
    return [
        Draw(rng.permutation(data.count)[:6], (16, 24, 32)[number % 3], number)
        for number in range(count)
    ]


def draw(indices: npt.ArrayLike, seed: int = 0, resolution: int = 16) -> Draw:
    return Draw(np.array(indices), resolution, seed)


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True)
    )


def test_a_batch_has_the_images_labels_and_form_of_its_draw(root: Path) -> None:
    data = ImageFolder.open(root, workers=0)
    as_training_sees_it: ImageData = data
    wanted = some_draws(data)
    for asked, (images, labels) in zip(wanted, as_training_sees_it.stream(wanted), strict=True):
        assert images.shape == (6, 3, asked.resolution, asked.resolution)
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.tolist() == data.train.labels[asked.indices].tolist()
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (data.mean, data.std))
        pixels = images * std + mean
        assert -0.001 < pixels.min() < pixels.max() < 1.001
        strongest = pixels.mean(dim=(2, 3)).argmax(dim=1)  # colour channel
        names = [data.classes[label] for label in labels]
        assert strongest.tolist() == [{"red": 0, "green": 1, "blue": 2}[name] for name in names]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_bitwise_the_same_batches_in_order(
    root: Path, workers: int
) -> None:
    here, there = ImageFolder.open(root, workers=0), ImageFolder.open(root, workers=workers)
    wanted = some_draws(here, 9)
    assert same(list(here.stream(wanted)), list(there.stream(wanted)))
    assert same(list(here.judges(24)), list(there.judges(24)))
    assert not multiprocessing.active_children()


def test_augmentation_depends_on_the_seed_and_the_place_in_the_draw_alone(root: Path) -> None:
    data = ImageFolder.open(root, workers=0)
    (first, _), (longer, _), (moved, _), (other, _) = data.stream(
        [draw([3, 4]), draw([3, 9, 8]), draw([4, 3]), draw([3, 4], seed=1)]
    )
    assert torch.equal(first[0], longer[0])
    assert not torch.equal(first[0], moved[1])
    assert not torch.equal(first[0], other[0])


def test_an_endless_stream_can_be_left_and_its_workers_end(root: Path) -> None:
    data = ImageFolder.open(root, workers=2)

    def endless() -> Iterable[Draw]:
        while True:
            yield draw([0, 1])

    state = torch.get_rng_state()
    stream = data.stream(endless())
    for _ in range(3):
        next(stream)
    assert len(multiprocessing.active_children()) == 2
    stream.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
    assert torch.equal(torch.get_rng_state(), state)  # training's own random numbers


def test_a_killed_worker_is_a_clear_error(root: Path) -> None:
    data = ImageFolder.open(root, workers=1)
    stream = data.stream(draw([0, 1]) for _ in range(1000))
    next(stream)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid or 0, signal.SIGKILL)
    with pytest.raises(WorkspaceError, match="use fewer workers"):
        list(stream)


def test_workers_end_when_the_process_that_started_them_is_killed(root: Path) -> None:
    code = (
        "import itertools, multiprocessing, sys, numpy, pathlib\n"
        "from harness.training.draws import Draw\n"
        "from harness.training.folder import ImageFolder\n"
        "data = ImageFolder.open(pathlib.Path(sys.argv[1]), workers=2)\n"
        "draws = (Draw(numpy.arange(4), 16, n) for n in itertools.count())\n"
        "for _ in data.stream(draws):\n"
        "    print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        workers = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_splits_are_disjoint_even_over_classes_and_follow_the_seed(tmp_path: Path) -> None:
    make(tmp_path, 40)
    data = ImageFolder.open(tmp_path, workers=0)
    assert data.classes == ("blue", "green", "red")
    assert data.tested is not None
    parts = [data.train.paths, data.held_out.paths, data.tested.paths]
    assert len(set().union(*parts)) == sum(map(len, parts)) == 120
    assert data.count == len(data.train) == 72
    assert np.bincount(data.held_out.labels).tolist() == [8, 8, 8]
    assert np.bincount(data.tested.labels).tolist() == [8, 8, 8]
    for path, label in zip(data.held_out.paths, data.held_out.labels, strict=True):
        assert Path(path).parent.name == data.classes[label]
    again, other = (ImageFolder.open(tmp_path, seed=seed, workers=0) for seed in (0, 1))
    assert again.held_out.paths == data.held_out.paths != other.held_out.paths
    fewer = ImageFolder.open(tmp_path, workers=0, held_out=7)
    assert sorted(np.bincount(fewer.held_out.labels)) == [2, 2, 3]


def test_a_small_class_gives_at_most_a_fifth_and_keeps_an_image(tmp_path: Path) -> None:
    make(tmp_path, 60, ["blue"])
    make(tmp_path, 2, ["green"])
    make(tmp_path, 1, ["red"])
    data = ImageFolder.open(tmp_path, workers=0)
    assert np.bincount(data.held_out.labels, minlength=3).tolist() == [11, 1, 0]
    assert np.bincount(data.train.labels, minlength=3).tolist() == [37, 1, 1]


def test_val_is_the_test_set_and_folders_of_classes_alone_give_one(
    root: Path, tmp_path: Path
) -> None:
    data = ImageFolder.open(root, workers=0)
    batches = data.test(16)
    assert batches is not None
    assert torch.cat([labels for _, labels in batches]).tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert data.tests(16).labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    alone = ImageFolder.open(make(tmp_path, 10), workers=0)
    assert alone.tests(16).labels.tolist() == [0] * 2 + [1] * 2 + [2] * 2
    assert not alone.facts["test"] == data.facts["test"] == 0


def test_two_images_a_class_leave_none_for_a_test_so_that_those_held_out_judge(
    tmp_path: Path,
) -> None:
    data = ImageFolder.open(make(tmp_path, 2), workers=0)
    assert data.test(16) is None
    assert torch.equal(data.tests(16).images, next(iter(data.judges(16)))[0])


def test_images_come_in_grey_where_that_is_asked_for_and_lost_colours_are_said(
    root: Path,
) -> None:
    data, grey = (ImageFolder.open(root, workers=0, channels=channels) for channels in (3, 1))
    asked = some_draws(data, 1)
    ((_, labels),), ((in_grey, same_labels),) = data.stream(asked), grey.stream(asked)
    assert in_grey.shape == (6, 1, 16, 16)
    assert torch.equal(labels, same_labels)
    assert data.facts != grey.facts
    assert data.lost_colours is None
    assert "lose them" in str(grey.lost_colours)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)  # ITU-R 601, as Pillow's
    for of, wanted in zip(grey.tests(16).images, data.tests(16).images, strict=True):
        mean, std = (torch.tensor(value).view(3, 1, 1) for value in (data.mean, data.std))
        brightness = ((wanted * std + mean) * weights).sum(0)
        assert isinstance(grey.std, float)
        assert torch.allclose(of[0] * grey.std + torch.tensor(grey.mean), brightness, atol=0.01)


def test_in_minutes_hundreds_of_images_of_every_class_judge(tmp_path: Path) -> None:
    make(tmp_path, 1)
    for name in COLOURS:  # links: so many images need not be made
        for number in range(1, 2000):
            (tmp_path / name / f"{number:04}.png").symlink_to("000.png")
    data = ImageFolder.open(tmp_path, workers=0)
    few = data.in_minutes()
    assert (len(data.held_out), len(few.held_out)) == (1000, FEW_JUDGES)
    assert np.bincount(few.held_out.labels).min() >= FEW_JUDGES // 3
    assert sum(map(len, few.calibration(16))) == FEW_CALIBRATION
    assert few.facts == data.facts


def test_calibration_is_of_training_images_and_always_the_same(root: Path) -> None:
    data, again = (ImageFolder.open(root, workers=0) for _ in range(2))
    one, other = torch.cat(list(data.calibration(16))), torch.cat(list(again.calibration(16)))
    assert torch.equal(one, other)
    assert one.shape == (data.count, 3, 16, 16)  # all, there are fewer than 2,000
    judged = {image.numpy().tobytes() for images, _ in data.judges(16) for image in images}
    assert len(judged) == len(data.held_out)
    assert not judged & {image.numpy().tobytes() for image in one}


def test_images_not_trained_on_come_in_batches_of_a_hundred_kept_as_bytes(
    tmp_path: Path,
) -> None:
    data = ImageFolder.open(make(tmp_path, 80), workers=0)
    batches = data.calibration(16)
    assert [len(images) for images in batches] == [100, 44]
    assert len(batches) == 2
    assert torch.equal(batches[1:][0], batches[1])
    with pytest.raises(IndexError):
        batches[2]
    kept = data._kept["calibration", 16]
    assert [batch.pixels.dtype for batch in kept] == [torch.uint8] * 2
    data.calibration(16)
    assert data._kept["calibration", 16] is kept  # not decoded again
    data.calibration(24)
    assert list(data._kept) == [("calibration", 24)]  # and 16 is let go
    few = data.in_minutes()
    few.calibration(16)
    few.calibration(24)
    assert list(few._kept) == [("calibration", 16), ("calibration", 24)]


def test_facts_tell_data_from_other_data_wherever_they_are(root: Path, tmp_path: Path) -> None:
    facts = ImageFolder.open(root, workers=0).facts
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["images"], facts["classes"], facts["held_out"]) == (60, 3, 12)
    moved = make(tmp_path / "elsewhere" / "train", 20)
    assert ImageFolder.open(moved.parent, workers=0).facts != facts  # some are for a test
    make(tmp_path / "elsewhere" / "val", 1)
    assert ImageFolder.open(moved.parent, workers=0).facts == facts
    assert ImageFolder.open(moved.parent, seed=1, workers=0).facts != facts
    (moved / "red" / "003.png").rename(moved / "red" / "103.png")
    renamed = ImageFolder.open(moved.parent, workers=0).facts
    assert renamed != facts
    with (moved / "red" / "004.png").open("ab") as file:
        file.write(b"longer")
    assert ImageFolder.open(moved.parent, workers=0).facts != renamed


def test_suffixes_of_any_case_count_and_other_files_do_not(tmp_path: Path) -> None:
    make(tmp_path, 2, ["blue"], ".JPEG")
    make(tmp_path, 2, ["green"], ".WebP")
    for name in (".hidden.jpg", "notes.txt"):
        (tmp_path / "green" / name).write_text("no image")
    (tmp_path / ".cache").mkdir()
    data = ImageFolder.open(tmp_path, workers=0)
    assert data.classes == ("blue", "green")
    assert data.facts["images"] == 4
    next(data.stream([draw([0, 1, 2])]))
    assert not data.damaged


def test_odd_metadata_do_no_harm(tmp_path: Path) -> None:
    data = ImageFolder.open(make(tmp_path, 4), workers=0)
    palette = Image.new("RGB", (30, 30), (200, 20, 20)).quantize(4)
    palette.save(data.train.paths[0], transparency=bytes([9, 9, 9, 9]))  # of which Pillow warns
    next(data.stream([draw([0, 1])]))
    assert not data.damaged


def bomb(path: Path) -> None:
    """A PNG of a few bytes that says it has 200,000 x 200,000 pixels."""
    header = b"IHDR" + b"\0\3\r\x40" * 2 + b"\x08\2\0\0\0"
    crc = zlib.crc32(header).to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + crc)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    match how:
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not an image")
        case "bomb":
            bomb(path)
        case "gone":
            path.unlink()


HOW = ("truncated", "empty", "text", "bomb", "gone")


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_images_are_named_and_others_of_the_draw_take_their_places(
    tmp_path: Path, workers: int
) -> None:
    data = ImageFolder.open(make(tmp_path, 20, suffix=".jpg"), workers=workers)
    whole = next(iter(ImageFolder.open(tmp_path, workers=0).stream([draw(range(10))])))
    bad = [Path(data.train.paths[index]) for index in (1, 2, 4, 6, 9)]
    for path, how in zip(bad, HOW, strict=True):
        damage(path, how)
    first, second, _ = data.stream([draw(range(10)), draw(range(10)), draw(range(20, 30))])
    assert same([first], [second])
    good = (0, 3, 5, 7, 8)
    assert torch.equal(first[0][list(good)], whole[0][list(good)])  # nothing else changed
    (stand_in, _), *_ = data.stream([draw([0, 3, 3, 3, 5, 5, 7, 7, 8, 0])])
    assert torch.equal(first[0], stand_in)  # the next good one each, at the place of the bad one
    assert data.damaged == tuple(bad)
    assert data.damage.startswith(f"damaged images left out: 5: {bad[0]}, ")


def test_damaged_images_are_left_out_where_nothing_is_trained(tmp_path: Path) -> None:
    data = ImageFolder.open(make(tmp_path, 30, suffix=".jpg"), workers=0)
    held, trained = Path(data.held_out.paths[4]), Path(data.train.paths[5])
    damage(held, "truncated")
    damage(trained, "text")
    labels = torch.cat([labels for _, labels in data.judges(16)])
    assert labels.tolist() == np.delete(data.held_out.labels, 4).tolist()
    assert sum(len(images) for images in data.calibration(16)) == data.count - 1
    assert data.damaged == (held, trained)


def test_more_than_ten_damaged_images_are_counted(tmp_path: Path) -> None:
    data = ImageFolder.open(make(tmp_path, 20), workers=0)
    for path in data.train.paths[:13]:
        damage(Path(path), "empty")
    next(data.stream([draw(range(20))]))
    assert len(data.damaged) == 13
    assert data.damage.endswith(f"{data.train.paths[9]} and 3 more")


def test_a_draw_of_damaged_images_alone_is_an_error(tmp_path: Path) -> None:
    data = ImageFolder.open(make(tmp_path, 20), workers=0)
    for path in (*data.train.paths[:4], *data.held_out.paths):
        damage(Path(path), "empty")
    with pytest.raises(FileFormatError, match=rf"all 4 images of a batch .*{data.train.paths[0]}"):
        next(data.stream([draw(range(4))]))
    with pytest.raises(FileFormatError, match="all 12 judges images"):
        data.judges(16)


def test_a_folder_of_another_form_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere"):
        ImageFolder.open(tmp_path / "nowhere", workers=0)
    with pytest.raises(FileFormatError, match=r"class folders in .*: 0;"):
        ImageFolder.open(tmp_path, workers=0)
    make(tmp_path / "train", 3, ["blue"])
    with pytest.raises(FileFormatError, match=r"class folders in .*train: 1;"):
        ImageFolder.open(tmp_path, workers=0)
    (tmp_path / "train" / "green").mkdir()
    with pytest.raises(FileFormatError, match=r"class green has no \.jpg.*train/green"):
        ImageFolder.open(tmp_path, workers=0)
    make(tmp_path / "train" / "green", 1, ["red"])  # a folder deeper is no image
    with pytest.raises(FileFormatError, match="class green has no"):
        ImageFolder.open(tmp_path, workers=0)
    make(tmp_path / "train", 3, ["red"])
    (tmp_path / "train" / "green" / "a.png").write_bytes(b"listed, not opened")
    make(tmp_path / "val", 1, ["blue", "red"])
    assert ImageFolder.open(tmp_path, workers=0).classes == ("blue", "green", "red")
    make(tmp_path / "val" / "extra", 1, ["blue"])
    Image.new("RGB", (9, 9)).save(tmp_path / "val" / "extra" / "a.png")
    with pytest.raises(FileFormatError, match="val has the class extra, which train lacks"):
        ImageFolder.open(tmp_path, workers=0)


def test_one_image_a_class_leaves_none_to_hold_out(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="none can be held out"):
        ImageFolder.open(make(tmp_path, 1), workers=0)


def test_ranks_of_one_machine_share_its_processors(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = ImageFolder.open(root).workers
    assert alone == len(os.sched_getaffinity(0))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(alone))
    assert ImageFolder.open(root).workers == 1


def test_links_to_themselves_are_damaged_images_and_no_classes(tmp_path: Path) -> None:
    make(tmp_path, 20)
    (tmp_path / "red" / "loop.png").symlink_to("loop.png")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "blue" / "pipe.png")
    data = ImageFolder.open(tmp_path, workers=0)
    assert data.classes == ("blue", "green", "red")
    assert data.facts["images"] == 61
    list(data.stream([draw(np.arange(data.count))]))
    data.judges(16)
    data.test(16)
    assert data.damaged == (tmp_path / "red" / "loop.png",)
