"""Which images show what: class folders, and data sets as they are downloaded."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from shlex import quote

from harness.errors import FileFormatError, UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
TINY, KAGGLE = "val_annotations.txt", "LOC_val_solution.csv"
"""Labels of images that lie in one folder: tiny-imagenet's, and those of ImageNet from Kaggle."""
DEEPEST = 3  # folders below which a `train` is looked for, where there is none

Images = list[tuple[str, int]]  # file names and sizes in bytes
Listing = dict[str, Images]  # of each class; names are relative to the folder


def list_images(folder: Path) -> Listing:
    """The images of each class, both sorted by name.

    FOLDER/CLASS/*.jpg, FOLDER/CLASS/images/*.jpg, or all in one folder with a file of labels.

    Raises:
        UsageError: the folder cannot be listed.
        FileFormatError: it has none of these forms; the message says how to give it one.
    """
    try:
        found = _labelled(folder)
        return _class_folders(folder) if found is None else found
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed: {error}") from error


def _class_folders(folder: Path) -> Listing:
    classes = _folders(folder)
    if len(classes) < 2:
        raise FileFormatError(_no_classes(folder, classes))
    with ThreadPoolExecutor(8) as pool:  # network disks answer many at once
        images = pool.map(lambda name: _of_class(folder, name), classes)
        return dict(zip(classes, images, strict=True))


def _of_class(folder: Path, name: str) -> Images:
    """Right in its folder, or in `images` there, as tiny-imagenet has them."""
    found = _images(folder / name)
    inner = _folders(folder / name)
    deeper = _images(folder / name / "images") if "images" in inner else []
    if found and deeper:
        raise FileFormatError(f"class {name} has images in {folder / name} and in images below it")
    if not found and not deeper:
        below = f", but folders: {', '.join(inner[:3])}" if inner else ""
        raise FileFormatError(f"class {name} has no {'/'.join(SUFFIXES)} in {folder / name}{below}")
    where = name if found else f"{name}/images"
    return [(f"{where}/{file}", size) for file, size in found or deeper]


def _labelled(folder: Path) -> Listing | None:
    """Images of one folder by a file of labels; None where there are none, or no labels."""
    inner = "images/" if (folder / "images").is_dir() else ""
    images = _images(folder / inner)
    labels = _labels(folder) if images else None
    if labels is None:
        return None
    found: Listing = {}
    for file, size in images:
        name = labels.get(Path(file).stem)
        if name is None:
            raise FileFormatError(f"{folder / inner / file} has no label in the file of labels")
        found.setdefault(name, []).append((f"{inner}{file}", size))
    return dict(sorted(found.items()))


def _labels(folder: Path) -> dict[str, str] | None:
    """The class of each image by its name without a suffix; None where no file tells."""
    for path in (folder / TINY, folder / KAGGLE, folder.parent / KAGGLE):
        if path.is_file():
            return _read_labels(path, "\t" if path.name == TINY else ",")
    return None


def _read_labels(path: Path, separator: str) -> dict[str, str]:
    """The first two columns: an image, and its class with a box behind it."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
        image, _, rest = line.partition(separator)
        if image in ("", "ImageId"):  # Kaggle's heading
            continue
        name = Path(image).stem
        if name in found or not rest.split():
            what = f"{image} is there twice" if name in found else f"no class of {image}"
            raise FileFormatError(f"{path}:{number}: {what}")
        found[name] = rest.split()[0]
    return found


def _no_classes(folder: Path, classes: list[str]) -> str:
    """What is there instead of class folders, and how to make it fit."""
    for inside in (folder, folder / "images"):
        if count := len(_images(inside)) if inside.is_dir() else 0:
            here, there = quote(str(inside)), quote(str(folder))
            return (
                f"{inside} has {count} images and no class folders, as ImageNet's val is "
                f"downloaded, and nothing tells their classes: put {KAGGLE} (ImageNet's, by "
                f"Kaggle) or {TINY} (tiny-imagenet's) into {folder}, or sort them by a file of "
                f"lines NAME CLASS: `while read name class; do mkdir -p {there}/$class && "
                f"mv {here}/$name {there}/$class/; done < LABELS`"
            )
    if packed := len(list(folder.glob("*.tar"))):
        return (
            f"{folder} has {packed} .tar files, as ImageNet's train is downloaded: "
            f"`cd {quote(str(folder))} && for tar in *.tar; do mkdir ${{tar%.tar}} && "
            "tar -xf $tar -C ${tar%.tar} && rm $tar; done` unpacks each into a class folder"
        )
    for depth in range(1, DEEPEST + 1):
        for train in sorted(folder.glob("*/" * depth + "train")):
            return f"{folder} has no train, {train.parent} has: --data {train.parent}"
    return f"class folders in {folder}: {len(classes)}; it takes one for each class, at least two"


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(each.name for each in entries if each.name[0] != "." and _is_folder(each))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):  # a link to itself
        return entry.is_dir()
    return False


def _images(folder: Path) -> Images:
    with os.scandir(folder) as entries:
        named = [e for e in entries if e.name.lower().endswith(SUFFIXES) and e.name[0] != "."]
        sizes = [(entry.name, _size(entry)) for entry in named]
    return sorted((name, size) for name, size in sizes if size is not None)


def _size(entry: "os.DirEntry[str]") -> int | None:
    """None of what is no file; a link to itself is an image that is damaged."""
    try:
        return entry.stat().st_size if entry.is_file() else None
    except OSError:
        return 0
