"""Data sets of images as they are downloaded: read, or told how to make them fit."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import FileFormatError
from harness.training.folder import ImageFolder

CLASSES = ("n01443537", "n01629819", "n01641577")


def save(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (9, 9, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path, "JPEG")


def class_folders(root: Path, images: int, classes: Sequence[str] = CLASSES) -> Path:
    for number, name in enumerate(classes):
        for image in range(images):
            save(root / name / f"{name}_{image}.JPEG", number)
    return root


def tiny_imagenet(root: Path) -> Path:
    for number, name in enumerate(CLASSES):
        for image in range(10):
            save(root / "train" / name / "images" / f"{name}_{image}.JPEG", number)
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
    labels = []
    for image in range(9):
        name = CLASSES[image * 2 % 3]
        save(root / "val" / "images" / f"val_{image}.JPEG", image)
        labels.append(f"val_{image}.JPEG\t{name}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(labels))
    save(root / "test" / "images" / "test_0.JPEG")
    return root


def test_tiny_imagenet_is_read_as_it_is_downloaded(tmp_path: Path) -> None:
    data = ImageFolder.open(tiny_imagenet(tmp_path), workers=0)
    assert data.classes == CLASSES
    assert data.count == 24  # of 30
    assert data.tested is not None
    shown = {
        Path(path).name: CLASSES[label]
        for path, label in zip(data.tested.paths, data.tested.labels, strict=True)
    }
    assert shown == {f"val_{image}.JPEG": CLASSES[image * 2 % 3] for image in range(9)}
    for path, label in zip(data.train.paths, data.train.labels, strict=True):
        assert Path(path).name.startswith(CLASSES[label])
        assert Path(path).is_file()
    assert sum(len(labels) for _, labels in data.test(16) or ()) == 9


@pytest.mark.parametrize("place", [".", "val"])
def test_imagenets_flat_val_is_read_by_kaggles_file_of_labels(tmp_path: Path, place: str) -> None:
    class_folders(tmp_path / "train", 10, CLASSES[:2])
    rows = ["ImageId,PredictionString"]
    for image in range(1, 7):
        name = f"ILSVRC2012_val_{image:08}"
        save(tmp_path / "val" / f"{name}.JPEG", image)
        rows.append(f"{name},{CLASSES[image % 2]} 85 1 499 272 {CLASSES[image % 2]} 0 0 9 9 ")
    (tmp_path / place / "LOC_val_solution.csv").write_text("\n".join(rows) + "\n")
    data = ImageFolder.open(tmp_path, workers=0)
    assert data.tested is not None
    numbers = [int(Path(path).stem[-8:]) for path in data.tested.paths]
    assert [number % 2 for number in numbers] == data.tested.labels.tolist() == [0] * 3 + [1] * 3


def test_a_flat_val_without_labels_is_told_how_to_be_sorted(tmp_path: Path) -> None:
    """The command that is told does it."""
    root = tmp_path / "with space"
    class_folders(root / "train", 10, CLASSES[:2])
    for image in range(4):
        save(root / "val" / f"ILSVRC2012_val_{image:08}.JPEG", image)
    with pytest.raises(FileFormatError, match="val has 4 images and no class folders, as") as told:
        ImageFolder.open(root, workers=0)
    assert "put LOC_val_solution.csv" in str(told.value)
    lines = [f"ILSVRC2012_val_{image:08}.JPEG {CLASSES[image % 2]}\n" for image in range(4)]
    (tmp_path / "LABELS").write_text("".join(lines))
    run_told(told.value, tmp_path)
    data = ImageFolder.open(root, workers=0)
    assert data.tested is not None
    assert data.tested.labels.tolist() == [0, 0, 1, 1]


def run_told(error: FileFormatError, folder: Path) -> None:
    match = re.search("`(.+)`", str(error))
    assert match is not None
    subprocess.run(["bash", "-ec", match[1]], cwd=folder, check=True)


def test_imagenets_archives_are_told_how_to_be_unpacked(tmp_path: Path) -> None:
    train = class_folders(tmp_path / "train", 3, CLASSES[:2])
    for name in CLASSES[:2]:
        command = f"tar -cf {name}.tar -C {name} . && rm -r {name}"
        subprocess.run(["bash", "-ec", command], cwd=train, check=True)
    with pytest.raises(FileFormatError, match=r"train has 2 \.tar files, as ImageNet's") as told:
        ImageFolder.open(tmp_path, workers=0)
    run_told(told.value, tmp_path)
    assert ImageFolder.open(tmp_path, workers=0).classes == CLASSES[:2]


@pytest.mark.parametrize("inside", ["tiny-imagenet-200", "ILSVRC/Data/CLS-LOC"])
def test_the_folder_that_is_meant_is_named(tmp_path: Path, inside: str) -> None:
    class_folders(tmp_path / inside / "train", 2)
    with pytest.raises(FileFormatError, match=re.escape(f"--data {tmp_path / inside}")):
        ImageFolder.open(tmp_path, workers=0)


def test_a_val_of_another_name_counts_and_two_of_them_do_not(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 10)
    class_folders(tmp_path / "valid", 2)
    data = ImageFolder.open(tmp_path, workers=0)
    assert data.tested is not None
    assert len(data.tested) == 6
    class_folders(tmp_path / "val", 2)
    with pytest.raises(FileFormatError, match="has val and valid: leave there the one"):
        ImageFolder.open(tmp_path, workers=0)


def test_a_val_without_a_train_is_said(tmp_path: Path) -> None:
    class_folders(tmp_path / "val", 2)
    class_folders(tmp_path / "test", 2)
    with pytest.raises(FileFormatError, match=r"has no train; its val alone: --data .*/val$"):
        ImageFolder.open(tmp_path, workers=0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("val_3.JPEG\tn01443537\t0\n", r"annotations\.txt:10: val_3.JPEG is there twice"),
        ("val_9.JPEG\t\n", r"annotations\.txt:10: no class of val_9\.JPEG"),
    ],
)
def test_labels_that_contradict_or_lack_a_class_are_named(
    tmp_path: Path, line: str, said: str
) -> None:
    labels = tiny_imagenet(tmp_path) / "val" / "val_annotations.txt"
    labels.write_text(labels.read_text() + line)
    with pytest.raises(FileFormatError, match=said):
        ImageFolder.open(tmp_path, workers=0)


def test_images_without_a_label_and_classes_that_train_lacks_are_named(tmp_path: Path) -> None:
    labels = tiny_imagenet(tmp_path) / "val" / "val_annotations.txt"
    content = labels.read_text()
    labels.write_text("".join(content.splitlines(keepends=True)[1:]))
    with pytest.raises(FileFormatError, match=r"val_0\.JPEG has no label"):
        ImageFolder.open(tmp_path, workers=0)
    labels.write_text(content.replace("n01443537", "n09999999"))
    with pytest.raises(FileFormatError, match="val has the class n09999999, which train lacks"):
        ImageFolder.open(tmp_path, workers=0)


def test_images_in_a_class_folder_and_below_it_are_not_chosen_between(tmp_path: Path) -> None:
    tiny_imagenet(tmp_path)
    save(tmp_path / "train" / CLASSES[1] / "stray.jpg")
    with pytest.raises(FileFormatError, match=f"class {CLASSES[1]} has images in .* and in images"):
        ImageFolder.open(tmp_path, workers=0)
